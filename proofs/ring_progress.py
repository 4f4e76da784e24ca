"""The ring of AES rounds takes each request in time, and gives results as far apart."""

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal
from amaranth.lib import data

from hdl.aes.core import rounds
from hdl.aes.ring import RingAES, _place_layout
from hdl.pipeline.scheduler import pace
from hdl.profile import COMPACT
from proofs.hash_units import hash_unit
from proofs.opened import Opened, Unknown
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST", "PROPERTIES"]

_PLACES = 3
#: Until the place whose turn it is has come by, and its block has left it.
MOST = _PLACES * (rounds(aes256=True) - 1) + _PLACES - 1


class _Takes(Elaboratable):
    """`RingAES` as in compact, with any requests, which stay until they are taken."""

    def __init__(self):
        self._spacing = pace(COMPACT, hash_unit(COMPACT).interval)
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        block = RingAES(2 * COMPACT.slots, COMPACT.sbox, self._spacing)
        for name in ("round_keys", "whitening_keys"):
            setattr(block, name, Unknown(getattr(block, name)))
        m.submodules.ring = self._opened = Opened(block)
        requests = block.requests
        request, aes256 = requests.payload.as_value(), requests.payload.aes256
        self.ports += [requests.valid, request, block.write, block.write_data]
        self.ports += [block.write_address.as_value()]
        before, held, waits = Signal.like(request), Signal(), Signal(8)
        m.d.sync += [
            before.eq(request),
            held.eq(requests.valid & ~requests.ready),
            waits.eq(Mux(requests.valid & ~requests.ready, waits + 1, 0)),
        ]
        # The results of both are as far apart as requests are, if these are 2 * spacing or less.
        least = self._lead + 1
        behind, taken = Signal(8, init=least), requests.valid & requests.ready
        m.d.sync += behind.eq(Mux(taken & aes256, 1, Mux(behind < least, behind + 1, behind)))
        m.d.comb += [
            Assume(~held | (requests.valid & (request == before))),
            Assert(waits <= MOST, "a request is taken in time"),
            Assert(~taken | aes256 | (behind == least), "it does not come near the one before"),
        ]
        self._follow(m, requests, waits, behind, aes256)
        return m

    @property
    def _lead(self):
        return RingAES.latency(True) - RingAES.latency(False) + 2 * self._spacing

    def _follow(self, m, requests, waits, behind, aes256):
        """When the place comes by whose turn it is, and is free: invariants."""
        opened = self._opened
        turn, wait = opened["turn"], opened["wait"]
        place_free, none_ahead = opened.beside("take")["free"], opened.beside("wait")["free"]
        layout = _place_layout(requests.payload.key.shape())
        history = opened["place_history"]
        # The place that comes by, the one behind it, and the last one.
        places = [
            data.View(layout, history.word_select(_PLACES - 1 - i, layout.size))
            for i in range(_PLACES)
        ]
        comes = Signal(8)
        for i, place in enumerate(places):
            last = Mux(place.aes256, rounds(True), rounds(False))
            with m.If(turn[-i % _PLACES]):
                left = Mux(place.busy & ~place.last, last - place.round, 0)
                m.d.comb += comes.eq(i + _PLACES * left)
            m.d.comb += [
                Assert(~place.busy | ((place.round >= 1) & (place.round <= last))),
                Assert(~place.busy | (place.last == (place.round == last))),
            ]
        waiting = Mux(wait + 2 > comes, wait + 2, comes)
        left = Mux(aes256 | none_ahead, comes, waiting)
        m.d.comb += [
            Assert(sum(turn) == 1),
            Assert(place_free == (~places[0].busy | places[0].last)),
            Assert(none_ahead == (wait == 0)),
            Assert(wait <= self._lead),
            Assert(none_ahead | (behind + wait == self._lead + 1)),
            Assert(~none_ahead | (behind == self._lead + 1)),
            Assert(~requests.valid | (waits + left <= MOST)),
        ]


PROPERTIES = [
    Property(
        name="progress.ring",
        promise=f"The ring as in compact takes a request {MOST} cycles after it came at the "
        "latest; and an AES-128 block so long behind an AES-256 block that its result comes 21 "
        "cycles later, or more.",
        design=_Takes,
        method=Induction(within=40, cut=("w:*state",)),
        mutant=Mutant(
            what="an AES-128 block comes as near an AES-256 block as it does not overtake it",
            module="hdl.aes.ring",
            old="self.latency(aes256=False) + 2 * self._spacing",
            new="self.latency(aes256=False)",
        ),
    ),
]
