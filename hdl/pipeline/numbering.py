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
    """Numbers records, a request in 3 cycles, each 10 cycles after it was taken at the earliest.

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
                #: Fills a slot to seal, two cycles later.
                "load": In(1),
                "load_slot": In(slot),
                "load_next": In(NUMBER_BITS),
                #: A record has been opened, or a slot was filled.
                "open": In(1),
                "open_slot": In(slot),
                "open_next": In(NUMBER_BITS + 1),
            }
        )
        self.states = BlockRAM(sealing_layout(profile).size, profile.slots)
        self.opening_next = BlockRAM(NUMBER_BITS + 1, profile.slots)
        self._ready = Queue(numbered_layout(), 8)
        self._age = Signal(8)  # a one wanders up, for each request that is taken
        # A request, second and third.
        self._request, self._second, self._third = (
            Signal(request_layout(), reset_less=True) for _ in range(3)
        )
        self._wire, self._second_wire = (Signal(16, reset_less=True) for _ in range(2))
        self._seals = Signal()  # `_request` does
        self._sealed = Signal()  # `_second` does
        # For a record to open, only ``next`` counts.
        self._state = Signal(sealing_layout(profile), reset_less=True)
        self._newest = Signal(sealing_layout(profile))
        self._exhausted = Signal(2)  # its slot is: no more records, no more numbers
        self._number = Signal(NUMBER_BITS, reset_less=True)

    def elaborate(self, platform):
        m = Module()
        m.submodules.states = self.states
        m.submodules.opening_next = self.opening_next
        m.submodules.ready = self._ready
        wiring.connect(m, self._ready.read, wiring.flipped(self.numbered))
        self._take(m)
        self._read(m)
        self._seal(m)
        self._find(m)
        self._give(m)
        return m

    def _take(self, m):
        """A request and its mask. Each is in registers for 3 cycles, and then in the next ones."""
        requests, masks, ready = self.requests, self.masks, self._ready
        head = requests.payload
        under_way = Signal(range(ready.depth + 1))
        may_take, takes, took = Signal(), Signal(), Signal()
        m.d.comb += [
            takes.eq(requests.valid & may_take & (~head.masked | masks.valid)),
            # A cycle later: nothing else is taken for two.
            requests.ready.eq(took),
            masks.ready.eq(took & self._request.masked),
            self.busy.eq(under_way != 0),
        ]
        m.d.sync += [
            took.eq(takes),
            may_take.eq(~takes & ~took & (under_way != ready.depth)),
            under_way.eq(under_way + takes - (ready.read.valid & ready.read.ready)),
            self._age.eq(Cat(takes, self._age)),
        ]
        first, second = masks.payload[:8], masks.payload[8:]
        mask = Mux(head.sixteen, Cat(second, first), first)
        with m.If(may_take):
            m.d.sync += [self._request.eq(head), self._wire.eq(head.wire ^ mask)]
        with m.If(self._age[2]):
            m.d.sync += [
                self._second.eq(self._request),
                self._second_wire.eq(self._wire),
                self._sealed.eq(self._seals),
            ]
        with m.If(self._age[5]):
            m.d.sync += [
                self._third.eq(self._second),
                self._third.status.eq(
                    Mux(self._sealed & self._exhausted.any(), Status.KEY_LIMIT, self._second.status)
                ),
            ]

    def _read(self, m):
        """Two cycles to read the slot's next number; it is there in the third one."""
        head, request, opening_next = self.requests.payload, self._request, self.opening_next
        states = self.states
        m.d.comb += [
            states.read_address.eq(head.echo.slot),
            opening_next.read_address.eq(head.echo.slot),
            opening_next.write.eq(self.open),
            opening_next.write_address.eq(self.open_slot),
            opening_next.write_data.eq(self.open_next),
        ]
        # What is written while it is read goes past the memory.
        opens, differs, passes = Signal(), Signal(2), Signal()
        opened, passing = (Signal(NUMBER_BITS + 1, reset_less=True) for _ in range(2))
        half = len(self.open_slot) // 2
        m.d.sync += [
            opens.eq(self.open),
            differs[0].eq(self.open_slot[:half] != head.echo.slot[:half]),
            differs[1].eq(self.open_slot[half:] != head.echo.slot[half:]),
            passes.eq(opens & ~differs.any()),
            opened.eq(self.open_next),
            passing.eq(opened),
        ]
        opened_next = Mux(passes, passing, opening_next.read_data)

        # So does the state of the last slot that has sealed: it may not have been written yet. If
        # that one was refused, nothing is.
        newest_slot, newest_valid, is_newest = Signal.like(self.load_slot), Signal(), Signal()
        unmoved = self._age[3] & self._sealed & self._exhausted.any()
        m.d.sync += [
            self._seals.eq((request.echo.opcode == Opcode.SEAL) & (request.status == Status.OK)),
            is_newest.eq(newest_valid & (newest_slot == request.echo.slot) & ~unmoved),
        ]
        state = data.View(self._state.shape(), Mux(is_newest, self._newest, states.read_data))
        with m.If(self._age[1]):
            m.d.sync += [
                self._state.count.eq(state.count),
                self._state.next.eq(Mux(self._seals, state.next, opened_next)),
            ]
            with m.If(self._seals):
                m.d.sync += [newest_slot.eq(request.echo.slot), newest_valid.eq(1)]
        with m.If(self.load | unmoved):
            m.d.sync += newest_valid.eq(0)

    def _seal(self, m):
        """Two more, in which a record to seal moves its slot's state, or is refused.

        It is written in the cycle behind them: one before the third request after it reads.
        """
        states, state = self.states, self._state
        following, counted = Signal.like(state, reset_less=True), Signal()
        loads, load_slot = Signal(), Signal.like(self.load_slot)
        m.d.sync += [
            self._exhausted.eq(
                Cat(state.count >= self._profile.seal_limit, state.next >= _LAST_NUMBER)
            ),
            following.next.eq(state.next + 1),
            following.count.eq(state.count + 1),
            loads.eq(self.load),
            load_slot.eq(self.load_slot),
        ]
        with m.If(self.load):
            m.d.sync += [following.next.eq(self.load_next), following.count.eq(0)]
        m.d.comb += [
            counted.eq(self._age[3] & self._sealed & ~self._exhausted.any()),
            states.write_data.eq(self._newest),
        ]
        m.d.sync += [
            states.write.eq(loads | counted),
            states.write_address.eq(Mux(loads, load_slot, self._second.echo.slot)),
        ]
        with m.If(loads | counted):
            m.d.sync += self._newest.eq(following)

    def _find(self, m):
        """Meanwhile and in 3 more, which number the one on the wire stands for."""
        next_number, wire, second = self._state.next, self._second_wire, self._second
        # How far ahead of the slot's next number it is.
        ahead, less, less_8 = Signal(16), Signal(), Signal()
        m.d.sync += [
            Cat(ahead, less).eq(self._wire - next_number[:16]),
            less_8.eq((self._wire[:8] - next_number[:8])[-1]),
        ]
        # The next one above with the same low bits; that on the other side may be nearer. To seal,
        # it is the next one itself.
        low, middle, carry, behind = Signal(8), Signal(8), Signal(), Signal()
        with m.If(self._sealed):
            m.d.sync += [middle.eq(next_number[8:16]), carry.eq(0), behind.eq(0)]
        with m.Elif(second.sixteen):
            m.d.sync += [
                middle.eq(wire[8:]),
                carry.eq(less),
                behind.eq(ahead[15] & (ahead[:15] != 0)),
            ]
        with m.Else():
            m.d.sync += [
                middle.eq(next_number[8:16] + less_8),
                carry.eq(less_8 & next_number[8:16].all()),
                behind.eq(ahead[7] & (ahead[:7] != 0)),
            ]
        candidate, far = Signal(NUMBER_BITS + 1, reset_less=True), Signal()
        m.d.comb += low.eq(Mux(self._sealed, next_number, wire))
        m.d.sync += [candidate.eq(Cat(low, middle, next_number[16:] + carry)), far.eq(behind)]

        lower, nearer, exists = Signal(NUMBER_BITS, reset_less=True), Signal(), Signal(2)
        upper = Signal(NUMBER_BITS + 1, reset_less=True)
        m.d.sync += [
            upper.eq(candidate),
            nearer.eq(far | candidate[NUMBER_BITS]),
            exists.eq(Cat(candidate[8:16] != 0, candidate[16:] != 0)),
            lower.eq(Cat(candidate[:8], candidate[8:NUMBER_BITS] - Mux(second.sixteen, 1 << 8, 1))),
        ]
        goes_down = nearer & (exists[1] | (exists[0] & ~self._third.sixteen))
        m.d.sync += self._number.eq(Mux(goes_down, lower, upper))

    def _give(self, m):
        third, numbered = self._third, self._ready.write.payload
        is_record = Signal()
        m.d.sync += is_record.eq(third.echo.opcode.matches(Opcode.SEAL, Opcode.OPEN))
        m.d.comb += [
            self._ready.write.valid.eq(self._age[7]),
            numbered.request.eq(third),
            numbered.request.nonce.eq(
                Mux(is_record, nonce(third.nonce, self._number), third.nonce)
            ),
            numbered.number.eq(self._number),
        ]
