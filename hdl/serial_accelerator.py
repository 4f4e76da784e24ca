"""The serial accelerator: one request at a time, a byte at a time."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    HEADER_BYTES,
    LOAD_BYTES,
    Counter,
    Opcode,
    Request,
    Status,
)
from hdl.aes.serial import SerialAES
from hdl.counters import Counters
from hdl.loader import SlotLoader
from hdl.packet_stream import packet_signature
from hdl.profile import Profile
from hdl.record_engine import RecordEngine
from hdl.release_buffer import ReleaseBuffer
from hdl.reports import Reports
from hdl.request_reader import RequestReader
from hdl.slots import SlotStore

__all__ = ["SerialAccelerator"]

#: The counter of messages behind each opcode that has one; that of their bytes follows it.
_COUNTERS = {
    Opcode.SEAL: Counter.RECORDS_SEALED,
    Opcode.OPEN: Counter.RECORDS_OPENED,
    Opcode.AEAD_SEAL: Counter.AEAD_SEALED,
    Opcode.AEAD_OPEN: Counter.AEAD_OPENED,
}

#: Reset begins with it: the request that wipes all slots.
_WIPE = Request(Opcode.ZEROIZE, ALL_SLOTS).pack()


class SerialAccelerator(wiring.Component):
    """Carries out the requests of `driver.messages`, one after the other.

    Every packet, whatever it holds, gets one completion, in order; nothing on ``requests`` can
    wedge it. Checks come in this order, and the first that fails decides: the packet is
    well-formed, the opcode is known, the slot exists, the length is one that the opcode takes;
    then those of the unit.

    A completion leaves the release buffer only once it is complete and its request was well-formed.
    The next request is read once it has been committed, and worked on meanwhile, if there is room
    for the largest completion. How long a record takes is in `hdl.rate`.

    Reset does not clear memories, so it begins with a wipe of all slots: the first request is taken
    32 cycles a slot and 128 later.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        super().__init__(
            {
                "requests": In(packet_signature()),
                "completions": Out(packet_signature()),
            }
        )
        self._reader = RequestReader(_WIPE)
        self._slots = SlotStore(profile)
        self._aes = SerialAES(keys=2 * profile.slots)
        self._loader = SlotLoader(profile)
        self._engine = RecordEngine(profile)
        self._reports = Reports(profile)
        self._counters = Counters()
        self._buffer = ReleaseBuffer(profile.release_bytes)
        #: The units, each with the opcodes that it carries out.
        self._units = (
            (self._loader.unit, (Opcode.LOAD, Opcode.ZEROIZE)),
            (self._engine.unit, tuple(_COUNTERS)),
            (self._reports.unit, (Opcode.INFO, Opcode.STATS)),
        )

        self._request = self._reader.requests.payload
        self._status = Signal(8)
        self._started = Signal()  # a unit has begun, and must finish
        self._position = Signal(range(HEADER_BYTES))
        # From the unit that the opcode names.
        self._done = Signal()
        self._finished = Signal()
        self._unit_status = Signal(8)
        self._length = Signal(16)
        self._amount = Signal(16)
        # To it.
        self._start = Signal()
        self._finish = Signal()
        self._give_payload = Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = self._reader
        m.submodules.slots = self._slots
        m.submodules.aes = self._aes
        m.submodules.loader = self._loader
        m.submodules.engine = self._engine
        m.submodules.reports = self._reports
        m.submodules.counters = self._counters
        m.submodules.buffer = self._buffer

        wiring.connect(m, wiring.flipped(self.requests), self._reader.packets)
        wiring.connect(m, self._buffer.packets, wiring.flipped(self.completions))
        self._connect_units(m)
        self._connect_slots(m)
        self._connect_aes(m)
        self._connect_counters(m)
        self._sequence(m)
        return m

    def _connect_units(self, m):
        payload = self._reader.payload
        for unit, opcodes in self._units:
            m.d.comb += [
                unit.request.eq(self._request),
                unit.payload.payload.eq(payload.payload),
                unit.keep.eq(self._reader.end.payload.well_formed),
            ]
            with m.If(self._is(*opcodes)):
                m.d.comb += [
                    unit.start.eq(self._start),
                    unit.finish.eq(self._finish),
                    unit.payload.valid.eq(payload.valid & self._give_payload),
                    self._done.eq(unit.done),
                    self._finished.eq(unit.finished),
                    self._unit_status.eq(unit.status),
                    self._length.eq(unit.length),
                    self._amount.eq(unit.amount),
                    self._buffer.write.eq(unit.write.enable),
                    self._buffer.address.eq(unit.write.address),
                    self._buffer.data.eq(unit.write.data),
                ]
                with m.If(self._give_payload):
                    m.d.comb += payload.ready.eq(unit.payload.ready)

    def _connect_slots(self, m):
        slots, loader, engine = self._slots, self._loader, self._engine
        m.d.comb += [
            slots.round_key_address.eq(self._aes.round_key_address),
            self._aes.round_key.eq(slots.round_key),
            slots.slot.eq(self._request.slot),
            slots.hash_row.eq(engine.hash_row),
            engine.context.eq(slots.context),
            engine.state.eq(slots.state),
            engine.h.eq(slots.h),
            slots.string_address.eq(Cat(engine.string_index, self._request.slot)),
            engine.string.eq(slots.string),
            loader.string.eq(slots.string),
            slots.write_mask.eq(loader.write_mask),
            slots.write_address.eq(loader.write_address),
            slots.write_byte.eq(loader.write_byte),
            slots.write_slot.eq(self._request.slot),
            slots.write_context.eq(loader.write_context),
            slots.new_context.eq(loader.new_context),
            slots.write_state.eq(engine.write_state),
            slots.new_state.eq(engine.new_state),
            slots.write_h.eq(loader.write_h),
            slots.new_h.eq(loader.new_h),
            slots.write_string.eq(loader.write_string),
            slots.write_string_address.eq(loader.write_string_address),
            slots.new_string.eq(loader.new_string),
        ]
        with m.If(self._is(Opcode.LOAD, Opcode.ZEROIZE)):
            m.d.comb += [
                slots.string_address.eq(loader.string_address),
                slots.write_slot.eq(loader.write_slot),
                slots.write_state.eq(loader.write_state),
                slots.new_state.eq(loader.new_state),
            ]

    def _connect_aes(self, m):
        """LOAD and the record engine never run at once: the opcode decides whose the core is."""
        aes = self._aes
        for user, chosen in (
            (self._loader, self._is(Opcode.LOAD)),
            (self._engine, ~self._is(Opcode.LOAD)),
        ):
            m.d.comb += user.aes_results.payload.eq(aes.results.payload)
            with m.If(chosen):
                m.d.comb += [
                    aes.requests.payload.eq(user.aes_requests.payload),
                    aes.requests.valid.eq(user.aes_requests.valid),
                    user.aes_requests.ready.eq(aes.requests.ready),
                    user.aes_results.valid.eq(aes.results.valid),
                    aes.results.ready.eq(user.aes_results.ready),
                ]

    def _connect_counters(self, m):
        counters = self._counters
        m.d.comb += [
            counters.starved.eq(self._reader.starved),
            counters.stalled.eq(self._buffer.stalled),
            self._reports.begins.eq(counters.begins),
            self._reports.value.eq(counters.value),
        ]
        with m.If(self._is(Opcode.STATS)):
            m.d.comb += [
                counters.start.eq(self._reports.start),
                counters.index.eq(self._reports.index),
            ]

    def _is(self, *opcodes):
        return self._request.opcode.matches(*opcodes)

    def _sequence(self, m):
        reader, buffer = self._reader, self._buffer
        room = Signal()
        m.d.comb += [
            # One bound for all, refusals and reports too: their completions outgrow their requests.
            room.eq(buffer.ready & (buffer.free >= self._profile.largest_completion)),
            self._counters.busy.eq(1),
        ]
        with m.FSM():
            with m.State("reset"):
                m.d.comb += [self._finish.eq(1), self._counters.busy.eq(0)]
                m.next = "wipe"
            with m.State("wipe"):
                m.d.comb += self._counters.busy.eq(0)
                with m.If(self._finished):
                    m.d.comb += reader.end.ready.eq(1)
                    m.next = "idle"
            with m.State("idle"):
                m.d.comb += [reader.requests.ready.eq(1), self._counters.busy.eq(0)]
                m.d.sync += self._started.eq(0)
                with m.If(reader.requests.valid):
                    m.next = "look up"
            with m.State("look up"):
                m.d.sync += self._status.eq(self._refusal(m))
                m.next = "check"
            with m.State("check"):
                with m.If(room & (self._status != Status.OK)):
                    m.next = "drain"
                with m.Elif(room):
                    m.d.comb += self._start.eq(1)
                    m.d.sync += self._started.eq(1)
                    m.next = "work"
            with m.State("work"):
                m.d.comb += self._give_payload.eq(1)
                with m.If(self._done):
                    m.d.sync += self._status.eq(self._unit_status)
                    m.next = "drain"
            with m.State("drain"):
                m.d.comb += reader.payload.ready.eq(1)
                with m.If(reader.end.valid):
                    with m.If(~reader.end.payload.well_formed):
                        m.d.sync += self._status.eq(Status.MALFORMED_REQUEST)
                    m.next = "finish"
            with m.State("finish"):
                m.d.comb += [self._finish.eq(self._started), self._counters.reserve.eq(1)]
                m.next = "finishing"
                with m.If(~self._started | self._finished):
                    m.next = "complete"
            with m.State("finishing"):
                with m.If(self._finished):
                    m.next = "complete"
            with m.State("complete"):
                m.d.comb += self._counters.reserve.eq(1)
                self._write_header(m)
                with m.If(self._position == HEADER_BYTES - 1):
                    m.next = "count message"
            with m.State("count message"):
                self._count(m, offset=0, amount=1)
                with m.If(self._counted()):
                    m.next = "count bytes"
            with m.State("count bytes"):
                # Of a refusal none, which takes as long: it tells nothing of the verdict.
                self._count(m, offset=1, amount=Mux(self._status == Status.OK, self._amount, 0))
                with m.If(self._counted()):
                    m.next = "commit"
            with m.State("commit"):
                m.d.comb += [
                    reader.end.ready.eq(1),
                    buffer.commit.eq(1),
                    buffer.length.eq(HEADER_BYTES + self._payload_length()),
                ]
                m.next = "idle"

    def _refusal(self, m):
        """The status of a request that no unit needs to see, or OK."""
        request, profile = self._request, self._profile
        status = Signal(8)
        no_slot = ~self._is(Opcode.INFO, Opcode.STATS) & (request.slot >= profile.slots)
        all_slots = self._is(Opcode.ZEROIZE) & (request.slot == ALL_SLOTS)
        least, most = self._length_bounds(m)
        with m.If(request.reserved != 0):
            m.d.comb += status.eq(Status.MALFORMED_REQUEST)
        with m.Elif(~self._is(*Opcode)):
            m.d.comb += status.eq(Status.UNKNOWN_OPCODE)
        with m.Elif(no_slot & ~all_slots):
            m.d.comb += status.eq(Status.NO_SUCH_SLOT)
        with m.Elif(request.length < least):
            m.d.comb += status.eq(Status.MALFORMED_REQUEST)
        with m.Elif(request.length > most):
            # The other opcodes take one length only.
            takes_any_message = self._is(*_COUNTERS)
            m.d.comb += status.eq(Mux(takes_any_message, Status.TOO_LONG, Status.MALFORMED_REQUEST))
        return status

    def _length_bounds(self, m):
        """Least and greatest length of the payload that the opcode takes, in bytes."""
        profile = self._profile
        least, most = Signal(16), Signal(16)
        bounds = {
            Opcode.LOAD: (LOAD_BYTES, LOAD_BYTES),
            Opcode.SEAL: (1, profile.largest_seal),
            Opcode.OPEN: (0, profile.largest_open),
            Opcode.AEAD_SEAL: (AEAD_PREFIX_BYTES, profile.largest_aead),
            Opcode.AEAD_OPEN: (AEAD_PREFIX_BYTES, profile.largest_aead),
        }
        with m.Switch(self._request.opcode):
            for opcode, (lowest, highest) in bounds.items():
                with m.Case(opcode):
                    m.d.comb += [least.eq(lowest), most.eq(highest)]
        return least, most

    def _payload_length(self):
        return Mux(self._status == Status.OK, self._length, 0)

    def _write_header(self, m):
        """The completion's header, a byte a cycle."""
        request, buffer, position = self._request, self._buffer, self._position
        # Big-endian, so the first byte on the wire is the uppermost here.
        header = Cat(
            self._payload_length(), request.request_id, request.slot, self._status, request.opcode
        )
        m.d.sync += position.eq(position + 1)
        m.d.comb += [
            buffer.write.eq(1),
            buffer.address.eq(position),
            buffer.data.eq(header.word_select(~position, 8)),
        ]

    def _counted(self):
        """There is nothing to count, or it is on its way."""
        return ~self._counters.start | self._counters.begins

    def _count(self, m, offset, amount):
        """The counter of a refusal, or the one of the opcode or ``offset`` behind it, if any."""
        counters = self._counters
        m.d.comb += counters.amount.eq(amount)
        with m.If(self._status != Status.OK):
            m.d.comb += [
                counters.start.eq(1),
                counters.index.eq(Counter.MALFORMED_REQUEST - 1 + self._status),
            ]
        with m.Else():
            with m.Switch(self._request.opcode):
                for opcode, counter in _COUNTERS.items():
                    with m.Case(opcode):
                        m.d.comb += [
                            counters.start.eq(1),
                            counters.index.eq(counter + offset),
                        ]
