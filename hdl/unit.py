"""What the accelerator asks of each unit that carries out requests.

A unit works in two phases. In the first, from ``start`` to ``done``, it takes payload, writes its
completion into the release buffer and finds its status, but leaves no lasting trace: the packet may
still turn out to be malformed. The second begins with ``finish``. If ``keep`` is high, the packet
was well-formed, and the unit now does what lasts (moves a sequence number, counts a forgery, fills
a slot); else it forgets the request. It ends with ``finished``.
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.request_reader import RequestHeader

__all__ = ["BufferWrite", "UnitSignature"]

#: A byte for the release buffer; address 0 is the first byte of the completion's header.
BufferWrite = data.StructLayout({"enable": 1, "address": 16, "data": 8})


class UnitSignature(wiring.Signature):
    """The accelerator's side of a unit.

    ``request`` holds from ``start`` until the completion is committed. ``start``, ``done``,
    ``finish`` and ``finished`` are strobes of one cycle. ``status`` holds from ``done`` to
    ``finish``. From ``done`` to the next ``start`` these hold: ``length``, bytes of payload in the
    completion; ``amount``, bytes of plaintext for the counters. A unit need not take all of the
    payload: the accelerator drains what is left.
    """

    def __init__(self):
        super().__init__(
            {
                "start": Out(1),
                "request": Out(RequestHeader),
                "payload": Out(stream.Signature(8)),
                "done": In(1),
                "status": In(8),
                "length": In(16),
                "amount": In(16),
                "finish": Out(1),
                "keep": Out(1),
                "finished": In(1),
                "write": In(BufferWrite),
            }
        )
