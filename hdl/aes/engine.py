"""The ports of the AES cores that hold their round keys themselves."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.aes.core import request_layout, round_key_address_layout

__all__ = ["AESEngineSignature"]


class AESEngineSignature(wiring.Signature):
    """The ports of an AES engine for ``keys`` keys, seen from the engine.

    ``requests`` takes blocks of `request_layout`; ``results`` gives each one encrypted, 128 bits,
    in the order of the requests, and cannot be held. With ``write``, the round key ``write_data``
    goes to ``write_address``, in the numbering of `round_key_address_layout`; only while no block
    is in the engine. Blocks that are requested two cycles later or more use it.
    """

    def __init__(self, keys: int):
        super().__init__(
            {
                "requests": In(stream.Signature(request_layout(keys))),
                "results": Out(stream.Signature(128, always_ready=True)),
                "write": In(1),
                "write_address": In(round_key_address_layout(keys)),
                "write_data": In(128),
            }
        )
