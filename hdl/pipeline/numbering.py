"""Which number a record has, whether its key may still be used, and the nonce that follows."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Opcode, Status
from hdl.block_ram import BlockRAM
from hdl.pipeline.layouts import NUMBER_BITS, request_layout
from hdl.pipeline.queue import Queue
from hdl.profile import Profile
from hdl.record_number import nonce

__all__ = ["Numbering", "numbered_layout", "sealing_layout"]

_LAST_NUMBER = (1 << NUMBER_BITS) - 1


def numbered_layout() -> data.StructLayout:
    """A request with its record ``number``; ``nonce`` is the one to encrypt with."""
    return data.StructLayout({"request": request_layout(), "number": NUMBER_BITS})


def sealing_layout(profile: Profile) -> data.StructLayout:
    """What sealing moves in a slot: the number of the next record, and how many were sealed.

    Of a slot to open, ``next`` is one above the highest number that was opened.
    """
    return data.StructLayout({"next": NUMBER_BITS + 1, "count": (profile.seal_limit).bit_length()})


class Numbering(wiring.Component):
    """Numbers records, a request in 3 cycles, each 7 cycles after it was taken at the earliest.

    A record to seal takes its slot's next number, and is refused at the limit of its key (RFC 9147,
    4.5.3) or behind the last number. A record to open waits for its mask (4.2.3); its number is
    then the one nearest to its slot's ``next`` (4.2.2). Records of the slot that are under way have
    not moved ``next`` yet, so a number is found if it is within half the range of its 8 or 16 bits,
    less the records under way. Other requests pass through.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        slot = range(profile.slots)
        super().__init__(
            {
                "requests": In(stream.Signature(request_layout())),
                #: Masks for the records to open that have asked for one: bytes 0 and 1.
                "masks": In(stream.Signature(16)),
                "numbered": Out(stream.Signature(numbered_layout())),
                "busy": Out(1),
                #: Fills a slot.
                "load": In(1),
                "load_slot": In(slot),
                "load_next": In(NUMBER_BITS),
                #: A record has been opened.
                "open": In(1),
                "open_slot": In(slot),
                "open_next": In(NUMBER_BITS + 1),
            }
        )
        self.states = BlockRAM(sealing_layout(profile).size, profile.slots)
        self.opening_next = BlockRAM(NUMBER_BITS + 1, profile.slots)

    def elaborate(self, platform):
        m = Module()
        m.submodules.states = states = self.states
        m.submodules.opening_next = opening_next = self.opening_next
        m.submodules.ready = ready = Queue(numbered_layout(), 4)
        wiring.connect(m, ready.read, wiring.flipped(self.numbered))

        requests, masks = self.requests, self.masks
        head = requests.payload
        under_way = Signal(range(8))
        pause = Signal(2)
        takes = Signal()
        m.d.comb += [
            takes.eq(
                requests.valid
                & (pause == 0)
                & (under_way != ready.depth)
                & (~head.masked | masks.valid)
            ),
            requests.ready.eq(takes),
            masks.ready.eq(takes & head.masked),
            states.read_address.eq(head.echo.slot),
            opening_next.read_address.eq(head.echo.slot),
        ]
        m.d.comb += self.busy.eq(under_way != 0)
        m.d.sync += [
            pause.eq(Mux(takes, 2, pause - (pause != 0))),
            under_way.eq(under_way + takes - (ready.read.valid & ready.read.ready)),
        ]

        # What is written while it is read goes past the memory.
        passes, passes_next = (
            Signal(2),
            [Signal(NUMBER_BITS + 1, name=f"passes_{i}") for i in (0, 1)],
        )
        m.d.sync += [
            passes.eq(Cat(self.open & (self.open_slot == head.echo.slot), passes)),
            passes_next[0].eq(self.open_next),
            passes_next[1].eq(passes_next[0]),
        ]
        opened_next = Mux(passes[1], passes_next[1], opening_next.read_data)

        # Two cycles to read the slot's state; the number on the wire is decrypted meanwhile.
        request = Signal(request_layout())
        wire = Signal(16)
        age = Signal(5)  # a one wanders up, for each request that is taken
        m.d.sync += age.eq(Cat(takes, age))
        with m.If(takes):
            first, second = masks.payload[:8], masks.payload[8:]
            mask = Mux(head.sixteen, Cat(second, first), first)
            m.d.sync += [request.eq(head), wire.eq(head.wire ^ mask)]

        m.d.comb += [
            opening_next.write.eq(self.load | self.open),
            opening_next.write_address.eq(Mux(self.load, self.load_slot, self.open_slot)),
            opening_next.write_data.eq(Mux(self.load, self.load_next, self.open_next)),
        ]
        state = data.View(sealing_layout(self._profile), states.read_data)
        seals, exhausted, counted = Signal(), Signal(), Signal()
        new_state = Signal(state.shape())
        m.d.comb += [
            seals.eq((request.echo.opcode == Opcode.SEAL) & (request.status == Status.OK)),
            exhausted.eq((state.count >= self._profile.seal_limit) | (state.next >= _LAST_NUMBER)),
            counted.eq(age[1] & seals & ~exhausted),
            states.write.eq(self.load | counted),
            states.write_address.eq(Mux(self.load, self.load_slot, request.echo.slot)),
            states.write_data.eq(new_state),
        ]
        with m.If(self.load):
            m.d.comb += new_state.next.eq(self.load_next)
        with m.Else():
            m.d.comb += [new_state.next.eq(state.next + 1), new_state.count.eq(state.count + 1)]

        # The next cycle: how far ahead of the slot's next number the one on the wire is.
        next_number, refused = Signal(NUMBER_BITS + 1), Signal()
        m.d.sync += [
            next_number.eq(Mux(seals, state.next, opened_next)),
            refused.eq(seals & exhausted),
        ]
        sealed = Signal()
        low, ahead, above = Signal(16), Signal(16), Signal(NUMBER_BITS + 1)
        half = Mux(request.sixteen, 1 << 15, 1 << 7)
        m.d.sync += sealed.eq(seals)
        m.d.comb += low.eq(Mux(request.sixteen, next_number, next_number[:8]))
        with m.If(request.sixteen):
            m.d.comb += ahead.eq(wire - low)
            m.d.comb += above.eq(Cat(wire, next_number[16:] + (wire < low)))
        with m.Else():
            m.d.comb += ahead.eq((wire - low)[:8])
            m.d.comb += above.eq(Cat(wire[:8], next_number[8:] + (wire[:8] < low)))

        # And the one after: is the number with the same low bits on the other side nearer?
        numbered = ready.write.payload
        candidate, behind = Signal(NUMBER_BITS + 1), Signal()
        m.d.sync += [
            candidate.eq(Mux(sealed, next_number, above)),
            behind.eq(~sealed & (ahead > half)),
        ]
        later = Signal(request_layout())
        m.d.sync += [
            later.eq(request),
            later.status.eq(Mux(refused, Status.KEY_LIMIT, request.status)),
        ]
        nearer = behind | candidate[NUMBER_BITS]
        lower = Mux(
            later.sixteen,
            Cat(candidate[:16], candidate[16:NUMBER_BITS] - 1),
            Cat(candidate[:8], candidate[8:NUMBER_BITS] - 1),
        )
        exists = Mux(later.sixteen, candidate[16:], candidate[8:]) != 0
        number, last = Signal(NUMBER_BITS), Signal(request_layout())
        m.d.sync += [number.eq(Mux(nearer & exists, lower, candidate)), last.eq(later)]

        is_record = last.echo.opcode.matches(Opcode.SEAL, Opcode.OPEN)
        m.d.comb += [
            ready.write.valid.eq(age[4]),
            numbered.request.eq(last),
            numbered.request.nonce.eq(Mux(is_record, nonce(last.nonce, number), last.nonce)),
            numbered.number.eq(number),
        ]
        return m
