"""The numbers of the pipelined engine: of records to open (RFC 9147, 4.2.2), and to seal."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from driver.messages import Opcode, Status
from hdl.pipeline.layouts import NUMBER_BITS, request_layout
from hdl.pipeline.numbering import Numbering, sealing_layout
from hdl.profile import COMPACT, Profile
from proofs.one_word import OneWord
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.record_number import NEARER, is_nearest, nonce
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: From taking a request to its number, and if it seals to the change that it makes.
_TO_NUMBER, _TO_CHANGE = 8, 4
#: In which no slot is filled behind a request, and no request comes behind that.
_QUIET = 6
_LAST_NUMBER = (1 << NUMBER_BITS) - 1


class _Numbering(Elaboratable):
    """`Numbering` gets any requests, masks and slots, by streams that keep their rules."""

    def __init__(self, profile: Profile):
        self._profile = profile

    def elaborate(self, platform):
        m = Module()
        block = Numbering(self._profile)
        block.opening_next = OneWord(NUMBER_BITS + 1, self._profile.slots)
        block.states = OneWord(sealing_layout(self._profile).size, self._profile.slots)
        m.submodules.block = opened = Opened(block)
        for port in (block.requests, block.masks):
            payload = Value.cast(port.payload)
            waits, waiting = Signal(), Signal(len(payload))
            m.d.sync += [waits.eq(port.valid & ~port.ready), waiting.eq(payload)]
            m.d.comb += [
                port.valid.eq(waits | AnySeq(1)),
                payload.eq(Mux(waits, waiting, AnySeq(len(payload)))),
            ]
        inputs = ("load", "load_slot", "load_next", "open", "open_slot", "open_next")
        for signal in (*(getattr(block, name) for name in inputs), block.numbered.ready):
            m.d.comb += signal.eq(AnySeq(len(signal)))
        age = block._age
        m.d.comb += [Assert(bit == _later(m, age[0], i)) for i, bit in enumerate(age) if i]
        m.d.comb += Assert(~(age & (age >> 1)).any() & ~(age & (age >> 2)).any())
        self.promise(m, opened)
        return m

    def numbered(self, m, block):
        """The request that is numbered in this cycle, if it is valid, as it was taken."""
        request = _later(m, Value.cast(block.requests.payload), _TO_NUMBER)
        written = block._ready.write
        m.d.comb += Assert(~block._age[-1] | written.valid, "each is numbered")
        return written, data.View(request_layout(), request)


class _Opening(_Numbering):
    """Of each record to open, the number is the one nearest to its slot's next."""

    def promise(self, m, opened):
        block = opened.block
        written, request = self.numbered(m, block)
        slot = block.opening_next
        # With what is written in the cycle in which the request is taken.
        following = _later(m, slot.word, _TO_NUMBER - 1)
        mask = _later(m, block.masks.payload, _TO_NUMBER)
        leading, second = mask[:8], mask[8:]
        wire, other = Signal(16), Signal(NUMBER_BITS)
        m.d.comb += [
            Assume(block.open_next <= 1 << NUMBER_BITS),
            Assert(slot.word <= 1 << NUMBER_BITS),
            # RFC 9147, 4.2.3: the mask's leading bytes, in the order of the number's own.
            wire.eq(request.wire ^ Mux(request.sixteen, Cat(second, leading), leading)),
            other.eq(AnyConst(NUMBER_BITS)),
        ]
        opens = request.echo.opcode == Opcode.OPEN
        known = request.echo.slot == slot.watched
        number = written.payload.number
        low, nearest = is_nearest(m, number, following, wire, request.sixteen, other)
        m.d.comb += [
            Assert(~(block._age[-1] & opens & known) | low, "other low bits"),
            Assert(~(block._age[-1] & opens & known) | nearest, NEARER),
            Assert(
                ~(block._age[-1] & opens)
                | (written.payload.request.nonce == nonce(request.nonce, number)),
                "the nonce is of the number",
            ),
        ]


class _Sealing(_Numbering):
    """Records to seal get the numbers of a slot one after the other, up to its limits."""

    def promise(self, m, opened):
        block, limit = opened.block, self._profile.seal_limit
        slot, layout = block.states, sealing_layout(self._profile)
        self._watched = slot.watched
        written, request = self.numbered(m, block)
        quiet = [_later(m, block.requests.valid, i) for i in range(_QUIET)]
        m.d.comb += Assume(~block.load | ~Cat(quiet).any())
        m.d.comb += [Assume(~block.requests.valid | ~_later(m, block.load, i)) for i in (1, 2)]
        coming = block.requests.payload
        m.d.comb += Assume((coming.status != Status.OK) | (coming.echo.slot < self._profile.slots))

        # The slot by itself, which a record moves in the cycle in which the block does.
        state, full, here = Signal(layout), Signal(), Signal()
        taken = data.View(request_layout(), _later(m, Value.cast(block.requests.payload), 4))
        loads = _later(m, block.load & (block.load_slot == slot.watched), 1)
        m.d.comb += [
            here.eq(block._age[_TO_CHANGE - 1] & self._seals(taken)),
            full.eq((state.count >= limit) | (state.next >= _LAST_NUMBER)),
        ]
        first = _later(m, block.load_next, 1)
        with m.If(loads):
            m.d.sync += [state.next.eq(first), state.count.eq(0)]
        with m.Elif(here & ~full):
            m.d.sync += [state.next.eq(state.next + 1), state.count.eq(state.count + 1)]

        status, number = written.payload.request.status, written.payload.number
        cycles = _TO_NUMBER - _TO_CHANGE
        said, refuses = (_later(m, signal, cycles) for signal in (here, here & full))
        m.d.comb += [
            Assert(~said | (status == Mux(refuses, Status.KEY_LIMIT, Status.OK)), "what is said"),
            Assert(~said | refuses | (number == _later(m, state.next, cycles)), "the next number"),
            Assert(
                ~said | (written.payload.request.nonce == nonce(request.nonce, number)),
                "the nonce is of the number",
            ),
        ]
        self._follow(m, opened, Value.cast(state))

    def _seals(self, request):
        """Whether it is a record to seal in the watched slot."""
        is_here = request.echo.slot == self._watched
        return is_here & (request.echo.opcode == Opcode.SEAL) & (request.status == Status.OK)

    def _follow(self, m, opened, state):
        """The slot's word, as it is or as it is being written, is its state: invariants."""
        block = opened.block
        slot, age = block.states, block._age
        now = Mux(slot.changes, slot.write_data, slot.word)
        # What goes around the memory is that of the last slot, but while a record is to move it.
        nameless = opened.nameless("is_newest")
        is_newest = nameless[1] & (nameless[len(slot.watched)] == slot.watched)
        m.d.comb += [
            Assert(now == state),
            Assert(~is_newest | age[2:4].any() | (Value.cast(block._newest) == state)),
        ]


def _later(m, value, cycles: int):
    """The value of some cycles ago."""
    for _ in range(cycles):
        register = Signal(len(value))
        m.d.sync += register.eq(value)
        value = register
    return value


PROPERTIES = [
    Property(
        name="record_number.pipelined",
        promise="In the pipelined engine, the number of a record to open is the one nearest to its "
        "slot's next when it is taken, of two the higher, among all 48-bit numbers with the 8 or "
        "16 bits on the wire, decrypted by its mask; and its nonce is of that number.",
        design=lambda: _Opening(COMPACT),
        method=Induction(depth=10, within=12),
        mutant=Mutant(
            what="half way up counts as nearer below",
            module="hdl.pipeline.numbering",
            old="behind.eq(ahead[15] & (ahead[:15] != 0)),",
            new="behind.eq(ahead[15]),",
        ),
    ),
    Property(
        name="record_number.sealing.pipelined",
        promise="In the pipelined engine, the records that a slot seals have the numbers from the "
        "one that it was loaded with on, one after the other and so none twice, up to the limit "
        "of its key or the last number; the nonce of each is of its number.",
        design=lambda: _Sealing(COMPACT),
        method=Induction(depth=14, within=16),
        mutant=Mutant(
            what="a record right behind one of the same slot gets its number from the memory",
            module="hdl.pipeline.numbering",
            old="Mux(is_newest, self._newest, states.read_data)",
            new="states.read_data",
        ),
    ),
]
