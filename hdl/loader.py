"""The unit behind LOAD and ZEROIZE: the only one that writes keys, and the one that wipes them."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import (
    ALL_SLOTS,
    CONNECTION_ID_BYTES,
    IV_BYTES,
    KEY_BYTES,
    LOAD_BYTES,
    HeaderForm,
    Opcode,
    Status,
    Suite,
    Usage,
)
from hdl.aes.core import request_layout, round_key_address_layout
from hdl.aes.key_schedule import KeySchedule
from hdl.profile import Profile
from hdl.slots import WORDS_PER_SLOT, context_layout, state_layout
from hdl.unit import UnitSignature

__all__ = ["SlotLoader"]

#: `driver.messages.Load`, byte 0 in the low bits; its multi-byte integers are big-endian.
LoadLayout = data.StructLayout(
    {
        "suite": 8,
        "usage": 8,
        "form": 8,
        "connection_id_bytes": 8,
        "epoch": data.ArrayLayout(8, 2),
        "sequence_number": data.ArrayLayout(8, 6),
        "iv": 8 * IV_BYTES,
        "connection_id": 8 * CONNECTION_ID_BYTES,
        "keys": data.ArrayLayout(8 * KEY_BYTES, 2),
    }
)


class SlotLoader(wiring.Component):
    """Fills a slot: round keys of both keys, the hash subkey H, IV, connection ID, first number.

    LOAD takes the payload at a byte a cycle; then it wipes the whole slot (32 cycles), expands both
    keys, and has the AES core encrypt the zero block into H (SP 800-38D, 7.1, step 1). The payload
    stands in a register meanwhile, which is zero again when the unit has finished. ZEROIZE writes
    zeros over every memory word of the slot, or of all slots: 32 cycles each.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        slot = range(profile.slots)
        super().__init__(
            {
                "unit": In(UnitSignature()),
                "aes_requests": Out(stream.Signature(request_layout(2 * profile.slots))),
                "aes_results": In(stream.Signature(128)),
                #: The write side of the slot store.
                "write_round_key": Out(1),
                "write_address": Out(round_key_address_layout(2 * profile.slots)),
                "write_data": Out(128),
                "write_slot": Out(slot),
                "write_entry": Out(1),
                "new_context": Out(context_layout()),
                "new_state": Out(state_layout(profile)),
            }
        )
        #: The payload of a LOAD while it is worked on, else zero.
        self.staged = Signal(LoadLayout)

    def elaborate(self, platform):
        m = Module()
        unit, staged = self.unit, self.staged
        m.submodules.schedule = schedule = KeySchedule(self._profile.sbox)

        taken = Signal(range(LOAD_BYTES))
        loading = Signal()
        slot = Signal(range(self._profile.slots))
        last_slot = Signal.like(slot)
        word = Signal(range(WORDS_PER_SLOT))
        which = word[4]
        aes256 = staged.suite == Suite.AES_256_GCM
        m.d.comb += [
            loading.eq(unit.request.opcode == Opcode.LOAD),
            self.write_slot.eq(slot),
            schedule.keys.payload.key.eq(staged.keys[which]),
            schedule.keys.payload.aes256.eq(aes256),
            self.aes_requests.payload.key.eq(Cat(0, slot)),
            self.aes_requests.payload.aes256.eq(aes256),
        ]
        self._check(m)

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [taken.eq(0), word.eq(0), slot.eq(unit.request.slot)]
                with m.If(unit.start & loading):
                    m.next = "collect"
                with m.Elif(unit.start):
                    m.next = "collected"
                with m.If(unit.finish):
                    with m.If(unit.keep & (unit.status == Status.OK)):
                        m.next = "wipe"
                    with m.Else():
                        m.next = "forget"
                with m.If(unit.finish & (unit.request.slot == ALL_SLOTS)):
                    m.d.sync += [slot.eq(0), last_slot.eq(self._profile.slots - 1)]
                with m.Else():
                    m.d.sync += last_slot.eq(unit.request.slot)
            with m.State("collect"):
                m.d.comb += unit.payload.ready.eq(1)
                with m.If(unit.payload.valid):
                    m.d.sync += [
                        staged.eq(Cat(staged.as_value()[8:], unit.payload.payload)),
                        taken.eq(taken + 1),
                    ]
                    with m.If(taken == LOAD_BYTES - 1):
                        m.next = "collected"
            with m.State("collected"):
                m.d.comb += unit.done.eq(1)
                m.next = "idle"
            with m.State("wipe"):
                m.d.comb += [
                    self.write_round_key.eq(1),
                    self.write_address.eq(Cat(word, slot)),
                    self.write_entry.eq(word == 0),
                ]
                m.d.sync += word.eq(word + 1)
                with m.If(word == WORDS_PER_SLOT - 1):
                    with m.If(loading):
                        m.next = "expand"
                    with m.Elif(slot == last_slot):
                        m.next = "forget"
                    with m.Else():
                        m.d.sync += slot.eq(slot + 1)
            with m.State("expand"):
                m.d.comb += schedule.keys.valid.eq(1)
                with m.If(schedule.keys.ready):
                    m.next = "store"
            with m.State("store"):
                self._store(m, schedule.round_keys, slot, which)
                with m.If(schedule.round_keys.valid):
                    with m.If(schedule.round_keys.payload.round == Mux(aes256, 14, 10)):
                        m.d.sync += word[4].eq(1)
                        m.next = "expand"
                        with m.If(which):
                            m.next = "hash"
            with m.State("hash"):
                m.d.comb += self.aes_requests.valid.eq(1)
                with m.If(self.aes_requests.ready):
                    m.next = "enter"
            with m.State("enter"):
                m.d.comb += self.aes_results.ready.eq(1)
                with m.If(self.aes_results.valid):
                    self._enter(m)
                    m.next = "forget"
            with m.State("forget"):
                m.d.sync += staged.eq(0)
                m.d.comb += unit.finished.eq(1)
                m.next = "idle"
        return m

    def _check(self, m):
        """The status of a LOAD; ZEROIZE finds ``staged`` zero and has nothing to check."""
        unit, staged = self.unit, self.staged
        suite_known = Signal()
        fields_valid = Signal()
        m.d.comb += [
            suite_known.eq(
                (staged.suite == Suite.AES_128_GCM) | (staged.suite == Suite.AES_256_GCM)
            ),
            fields_valid.eq(
                (staged.usage >= min(Usage))
                & (staged.usage <= max(Usage))
                & ((staged.form & ~sum(HeaderForm)) == 0)
                & (staged.connection_id_bytes <= CONNECTION_ID_BYTES)
            ),
            unit.status.eq(Status.OK),
        ]
        with m.If(unit.request.opcode == Opcode.LOAD):
            with m.If(~suite_known):
                m.d.comb += unit.status.eq(Status.UNSUPPORTED_SUITE)
            with m.Elif(~fields_valid):
                m.d.comb += unit.status.eq(Status.MALFORMED_REQUEST)

    def _store(self, m, round_keys, slot, which):
        m.d.comb += [
            round_keys.ready.eq(1),
            self.write_round_key.eq(round_keys.valid),
            self.write_address.eq(Cat(round_keys.payload.round, which, slot)),
            self.write_data.eq(round_keys.payload.round_key),
        ]

    def _enter(self, m):
        staged = self.staged
        m.d.comb += [
            self.write_entry.eq(1),
            self.new_context.valid.eq(1),
            self.new_context.aes256.eq(staged.suite == Suite.AES_256_GCM),
            self.new_context.usage.eq(staged.usage),
            self.new_context.form.eq(staged.form),
            self.new_context.connection_id_bytes.eq(staged.connection_id_bytes),
            self.new_context.connection_id.eq(staged.connection_id),
            self.new_context.epoch.eq(_integer(staged.epoch)),
            self.new_context.iv.eq(staged.iv),
            self.new_context.h.eq(self.aes_results.payload),
            self.new_state.next.eq(_integer(staged.sequence_number)),
            self.new_state.seen.eq(~0),
            self.new_state.count.eq(0),
        ]


def _integer(array):
    """The integer that a big-endian array of bytes stands for."""
    return Cat(*(array[i] for i in reversed(range(len(array)))))
