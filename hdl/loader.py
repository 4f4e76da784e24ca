"""The unit behind LOAD and ZEROIZE: the only one that writes keys, and the one that wipes them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
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
from hdl.aes.core import request_layout, round_key_address_layout, rounds
from hdl.aes.sbox import SBox, xtime
from hdl.block import BLOCK_BYTES
from hdl.profile import Profile
from hdl.slots import (
    STAGED_BYTES,
    WORDS_PER_SLOT,
    StateFields,
    context_layout,
    staging_address,
    state_layout,
    string_address_bits,
)
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

#: Where the payload begins in its place: so that the strings stand at 32 and the keys at 64.
_FIRST = STAGED_BYTES - LOAD_BYTES
#: Where the sequence number does.
_NUMBER = _FIRST + 6
_NUMBER_BYTES = 6


class SlotLoader(wiring.Component):
    """Fills a slot: round keys of both keys, the hash subkey H, IV, connection ID, first number.

    LOAD takes the payload at a byte a cycle into the place that the slot store has for it. Then it
    wipes the whole slot (32 cycles), copies the strings and expands both keys (FIPS 197, 5.2), two
    cycles a byte, has the AES core encrypt the zero block into H (SP 800-38D, 7.1, step 1), and
    copies the sequence number.
    ZEROIZE writes zeros over every memory word of the slot, or of all slots: 32 cycles each. Both
    end with zeros over the place of the payload: 128 cycles.

    The key expansion works in that place: each byte of a word takes the place of the byte that it
    is computed from, 16 or 32 bytes before.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        slot = range(profile.slots)
        string_address = string_address_bits(profile)
        super().__init__(
            {
                "unit": In(UnitSignature()),
                "aes_requests": Out(stream.Signature(request_layout(2 * profile.slots))),
                "aes_results": In(stream.Signature(128)),
                #: The ports of the slot store.
                "string_address": Out(string_address),
                "string": In(8),
                "write_mask": Out(BLOCK_BYTES),
                "write_address": Out(round_key_address_layout(2 * profile.slots)),
                "write_byte": Out(8),
                "write_slot": Out(slot),
                "write_context": Out(1),
                "write_state": Out(StateFields),
                "write_h": Out(1),
                "write_string": Out(1),
                "write_string_address": Out(string_address),
                "new_string": Out(8),
                "new_context": Out(context_layout()),
                "new_state": Out(state_layout(profile)),
                "new_h": Out(128),
            }
        )
        self._at = Signal(7)  # a byte of the payload's place
        self._slot = Signal(slot)
        self._second = Signal()  # of two cycles that a byte takes
        # What LOAD's fields say.
        self._suite_known = Signal()
        self._fields_valid = Signal()
        self._aes256 = Signal()
        self._usage = Signal(2)
        self._form = Signal(4)
        self._connection_id_bytes = Signal(5)
        self._epoch = Signal(16)
        # The byte of round keys that is computed.
        self._byte = Signal(4)
        self._round = Signal(4)
        self._which = Signal()  # the record-number key
        self._expanded = Signal(8)
        self._forget = Signal()

    def elaborate(self, platform):
        m = Module()
        unit, at, slot = self.unit, self._at, self._slot
        loading = Signal()
        last_slot = Signal.like(slot)
        staged = Signal(string_address_bits(self._profile))
        m.d.comb += [
            loading.eq(unit.request.opcode == Opcode.LOAD),
            staged.eq(staging_address(self._profile, at)),
            self.string_address.eq(staged),
            self.write_string_address.eq(staged),
            self.write_slot.eq(slot),
            self.aes_requests.payload.key.eq(Cat(0, slot)),
            self.aes_requests.payload.aes256.eq(self._aes256),
            self.new_h.eq(self.aes_results.payload),  # zero while the core has none
        ]
        self._check(m)
        self._expand(m)

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [at.eq(_FIRST), slot.eq(unit.request.slot)]
                with m.If(unit.start & loading):
                    m.next = "collect"
                with m.Elif(unit.start):
                    m.next = "collected"
                with m.If(unit.finish):
                    m.d.sync += [at.eq(0), last_slot.eq(unit.request.slot)]
                    with m.If(unit.request.slot == ALL_SLOTS):
                        m.d.sync += [slot.eq(0), last_slot.eq(self._profile.slots - 1)]
                    m.next = "forget"
                    with m.If(unit.keep & (unit.status == Status.OK)):
                        m.next = "wipe"
            with m.State("collect"):
                m.d.comb += [
                    unit.payload.ready.eq(1),
                    self.write_string.eq(unit.payload.valid),
                    self.new_string.eq(unit.payload.payload),
                ]
                with m.If(unit.payload.valid):
                    m.d.sync += at.eq(at + 1)
                    self._take_field(m)
                    with m.If(at == _FIRST + LOAD_BYTES - 1):
                        m.next = "collected"
            with m.State("collected"):
                m.d.comb += unit.done.eq(1)
                m.next = "idle"
            with m.State("wipe"):
                m.d.comb += [
                    self.write_mask.eq(~0),
                    self.write_address.eq(Cat(at[:5], slot)),
                    self.write_string.eq(1),
                    self.write_string_address.eq(Cat(at[:5], slot)),
                    self.write_context.eq(at[0]),
                    self.write_state.eq(at[0].replicate(len(self.write_state.as_value()))),
                    self.write_h.eq(~at[0]),
                ]
                m.d.sync += at.eq(at + 1)
                with m.If(at[:5] == WORDS_PER_SLOT - 1):
                    with m.If(loading):
                        m.next = "copy"
                    with m.Elif(slot == last_slot):
                        m.d.sync += at.eq(0)
                        m.next = "forget"
                    with m.Else():
                        m.d.sync += [at.eq(0), slot.eq(slot + 1)]
            with m.State("copy"):
                m.d.sync += self._second.eq(~self._second)
                with m.If(self._second):
                    m.d.comb += [
                        self.write_string.eq(1),
                        self.write_string_address.eq(Cat(at[:5], slot)),
                        self.new_string.eq(self.string),
                    ]
                    m.d.sync += at.eq(at + 1)
                    with m.If(at[:5] == WORDS_PER_SLOT - 1):
                        m.next = "expand"
            with m.State("expand"):
                # The place of the byte 16 or 32 before.
                m.d.comb += staged.eq(
                    staging_address(
                        self._profile,
                        Cat(self._byte, self._round[0] & self._aes256, self._which, Const(1, 1)),
                    )
                )
                m.d.sync += self._second.eq(~self._second)
                with m.If(self._second):
                    m.d.comb += [
                        self.write_string.eq(1),
                        self.new_string.eq(self._expanded),
                        self.write_mask.eq(Const(1, BLOCK_BYTES) << self._byte),
                        self.write_address.eq(Cat(self._round, self._which, slot)),
                        self.write_byte.eq(self._expanded),
                    ]
                    m.d.sync += self._byte.eq(self._byte + 1)
                    with m.If(self._byte == BLOCK_BYTES - 1):
                        m.d.sync += self._round.eq(self._round + 1)
                        with m.If(self._round == Mux(self._aes256, rounds(True), rounds(False))):
                            m.d.sync += [self._round.eq(0), self._which.eq(1)]
                            with m.If(self._which):
                                m.next = "hash"
            with m.State("hash"):
                m.d.comb += self.aes_requests.valid.eq(1)
                with m.If(self.aes_requests.ready):
                    m.next = "enter"
            with m.State("enter"):
                m.d.comb += self.write_h.eq(self.aes_results.valid)
                with m.If(self.aes_results.valid):
                    m.next = "entered"
            with m.State("entered"):
                m.d.comb += self.aes_results.ready.eq(1)
                m.d.sync += at.eq(_NUMBER)
                m.next = "number"
            with m.State("number"):
                m.d.sync += self._second.eq(~self._second)
                with m.If(self._second):
                    last = _NUMBER + _NUMBER_BYTES - 1
                    for place in range(_NUMBER_BYTES):
                        m.d.comb += self.write_state.next[place].eq(at == last - place)
                    m.d.comb += self.new_state.next.eq(self.string.replicate(_NUMBER_BYTES))
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == last):
                        m.next = "valid"
            with m.State("valid"):
                self._enter(m)
                m.d.sync += at.eq(0)
                m.next = "forget"
            with m.State("forget"):
                m.d.comb += [self.write_string.eq(1), self._forget.eq(1)]
                m.d.sync += [at.eq(at + 1), self._which.eq(0)]
                with m.If(at == STAGED_BYTES - 1):
                    m.d.comb += unit.finished.eq(1)
                    m.next = "idle"
        return m

    def _take_field(self, m):
        """Fields are kept apart, so that `_check` and `_enter` have them all at once."""
        byte, at = self.unit.payload.payload, self._at
        suite_known = (byte == Suite.AES_128_GCM) | (byte == Suite.AES_256_GCM)
        with m.Switch(at - _FIRST):
            with m.Case(0):
                m.d.sync += [
                    self._suite_known.eq(suite_known),
                    self._aes256.eq(byte == Suite.AES_256_GCM),
                ]
            with m.Case(1):
                valid = (byte >= min(Usage)) & (byte <= max(Usage))
                m.d.sync += [self._usage.eq(byte), self._fields_valid.eq(valid)]
            with m.Case(2):
                m.d.sync += self._form.eq(byte)
                with m.If((byte & ~sum(HeaderForm)) != 0):
                    m.d.sync += self._fields_valid.eq(0)
            with m.Case(3):
                m.d.sync += self._connection_id_bytes.eq(byte)
                with m.If(byte > CONNECTION_ID_BYTES):
                    m.d.sync += self._fields_valid.eq(0)
            with m.Case(4, 5):
                m.d.sync += self._epoch.eq(Cat(byte, self._epoch))

    def _check(self, m):
        """The status of a LOAD; ZEROIZE has nothing to check."""
        unit = self.unit
        m.d.comb += unit.status.eq(Status.OK)
        with m.If(unit.request.opcode == Opcode.LOAD):
            with m.If(~self._suite_known):
                m.d.comb += unit.status.eq(Status.UNSUPPORTED_SUITE)
            with m.Elif(~self._fields_valid):
                m.d.comb += unit.status.eq(Status.MALFORMED_REQUEST)

    def _expand(self, m):
        """A byte of the expanded key (FIPS 197, 5.2), from the one that ``string`` gives."""
        m.submodules.sbox = sbox = SBox(self._profile.sbox)
        word = Signal(32)  # the last four bytes, the latest on top
        first = Signal(8)  # of the word before: RotWord needs it last
        constant = Signal(8)
        begins = Signal()  # a word with SubWord
        rotates = Signal()  # and with RotWord and Rcon
        copies = Signal()
        addend = Signal(8)
        round_, byte, aes256 = self._round, self._byte, self._aes256
        m.d.comb += [
            begins.eq(byte[2:] == 0),
            rotates.eq(begins & ~(aes256 & round_[0])),
            copies.eq((round_ == 0) | (aes256 & (round_ == 1))),
            sbox.input.eq(Mux(rotates, Mux(byte[:2] == 3, first, word[8:16]), word[:8])),
            addend.eq(Mux(begins, sbox.output, word[:8])),
            self._expanded.eq(
                self.string ^ Mux(copies, 0, addend ^ Mux(rotates & (byte[:2] == 0), constant, 0))
            ),
        ]
        with m.If(self._second):
            m.d.sync += word.eq(Cat(word[8:], self._expanded))
            with m.If(byte[:2] == 0):
                m.d.sync += first.eq(word[:8])
            with m.If(rotates & ~copies & (byte[:2] == 3)):
                m.d.sync += constant.eq(xtime(constant))
        with m.If(copies):
            m.d.sync += constant.eq(1)
        with m.If(self._forget):
            m.d.sync += [word.eq(0), first.eq(0)]

    def _enter(self, m):
        """All but the sequence number: from here on, the slot can be used."""
        m.d.comb += [
            self.write_context.eq(1),
            self.write_state.seen.eq(1),
            self.write_state.count.eq(1),
            self.new_context.valid.eq(1),
            self.new_context.aes256.eq(self._aes256),
            self.new_context.usage.eq(self._usage),
            self.new_context.form.eq(self._form),
            self.new_context.connection_id_bytes.eq(self._connection_id_bytes),
            self.new_context.epoch.eq(self._epoch),
            self.new_state.seen.eq((1 << self._profile.window) - 1),
            self.new_state.count.eq(0),
        ]
