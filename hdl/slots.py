"""The slot store: keys, counters and replay windows, in memories rather than in registers.

A slot is one key in one direction of one epoch. It is spread over four memories, each read with
one cycle of latency:

- round keys: 16 words of 128 bits a key, two keys a slot. Key ``2 * slot`` is the AEAD key, key
  ``2 * slot + 1`` the record-number key (RFC 9147, 4.2.3);
- the context: what LOAD has fixed, but for two strings;
- strings: 32 bytes a slot, the IV and then the connection ID. Behind all slots, there is the place
  where LOAD keeps its payload until it is known to be good;
- records: the state, which records move, and the hash subkey H, a row each. One is read at a time.
"""

from amaranth.hdl import Cat, Const, MemoryData, Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import CONNECTION_ID_BYTES, IV_BYTES
from hdl.aes.core import round_key_address_layout
from hdl.block import BLOCK_BYTES
from hdl.memory_ports import memory_ports
from hdl.profile import Profile

__all__ = [
    "STAGED_BYTES",
    "WORDS_PER_SLOT",
    "SlotStore",
    "StateFields",
    "context_layout",
    "staging_address",
    "state_layout",
    "string_address_bits",
]

#: Words of round keys: two keys of up to 15 round keys, each aligned to 16.
WORDS_PER_SLOT = 32
#: Bytes of strings: as many as that.
_STRING_BYTES = IV_BYTES + CONNECTION_ID_BYTES
#: The place for LOAD's payload.
STAGED_BYTES = 128


def context_layout() -> data.StructLayout:
    """What LOAD has fixed."""
    return data.StructLayout(
        {
            "valid": 1,
            "aes256": 1,
            "usage": 2,
            "form": 4,
            "connection_id_bytes": 5,
            "epoch": 16,
        }
    )


def state_layout(profile: Profile) -> data.StructLayout:
    """What records move.

    ``next`` is the sequence number to seal with, or one above the highest opened; bit i of
    ``seen`` says that record ``next - 1 - i`` has been opened; ``count`` is the number of records
    sealed, or of those that failed authentication. They take 49, ``window`` and 37 bits, in whole
    bytes, so that each can be written by itself.
    """
    fields = zip(("next", "seen", "count"), _state_bytes(profile), strict=True)
    return data.StructLayout({name: 8 * count for name, count in fields})


def _state_bytes(profile: Profile) -> tuple[int, int, int]:
    return 7, -(-profile.window // 8), 5


#: Which fields of the state are written, and of ``next`` which bytes.
StateFields = data.StructLayout({"next": 7, "seen": 1, "count": 1})


def string_address_bits(profile: Profile) -> int:
    """Bits of an address of strings: the uppermost is set for the place of LOAD's payload."""
    slots_bytes = _STRING_BYTES * profile.slots
    return (max(slots_bytes, STAGED_BYTES) - 1).bit_length() + 1


def staging_address(profile: Profile, position):
    """Where byte ``position`` of the place for LOAD's payload stands; 7 bits wide."""
    return Cat(position, Const(0, string_address_bits(profile) - 1 - len(position)), Const(1, 1))


class SlotStore(wiring.Component):
    """All slots. Reads answer in the next cycle and hold while the address does.

    A write is seen by reads that start in the next cycle or later; no memory is read in the cycle
    in which it is written, and its output holds. ``hash_row`` chooses H, else
    the state is read. Byte i of a round key is written if bit i of ``write_mask`` is set.
    """

    def __init__(self, profile: Profile):
        slot = range(profile.slots)
        address = round_key_address_layout(2 * profile.slots)
        string_address = string_address_bits(profile)
        super().__init__(
            {
                "round_key_address": In(address),
                "round_key": Out(128),
                "slot": In(slot),
                "hash_row": In(1),
                "context": Out(context_layout()),
                "state": Out(state_layout(profile)),
                "h": Out(128),
                "string_address": In(string_address),
                "string": Out(8),
                "write_mask": In(BLOCK_BYTES),
                "write_address": In(address),
                "write_byte": In(8),
                "write_slot": In(slot),
                "write_context": In(1),
                "new_context": In(context_layout()),
                "write_state": In(StateFields),
                "new_state": In(state_layout(profile)),
                "write_h": In(1),
                "new_h": In(128),
                "write_string": In(1),
                "write_string_address": In(string_address),
                "new_string": In(8),
            }
        )
        self._profile = profile
        slots = profile.slots
        row_bits = max(128, state_layout(profile).size)
        self.round_keys = MemoryData(shape=128, depth=slots * WORDS_PER_SLOT, init=[])
        self.contexts = MemoryData(shape=context_layout(), depth=slots, init=[])
        self.records = MemoryData(shape=row_bits, depth=2 * slots, init=[])
        self.strings = MemoryData(shape=8, depth=(1 << string_address - 1) + STAGED_BYTES, init=[])

    def elaborate(self, platform):
        m = Module()
        read, write = memory_ports(m, "round_keys", self.round_keys, platform, byte_enables=True)
        m.d.comb += [
            read.addr.eq(self.round_key_address),
            self.round_key.eq(read.data),
            write.en.eq(self.write_mask),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_byte.replicate(BLOCK_BYTES)),
            read.en.eq(~self.write_mask.any()),
        ]
        read, write = memory_ports(m, "contexts", self.contexts, platform)
        m.d.comb += [
            read.addr.eq(self.slot),
            self.context.eq(read.data),
            write.en.eq(self.write_context),
            write.addr.eq(self.write_slot),
            write.data.eq(self.new_context),
            read.en.eq(~write.en),
        ]
        read, write = memory_ports(m, "records", self.records, platform, byte_enables=True)
        _, seen_bytes, count_bytes = _state_bytes(self._profile)
        enables = Cat(
            self.write_state.next,
            self.write_state.seen.replicate(seen_bytes),
            self.write_state.count.replicate(count_bytes),
        )
        m.d.comb += [
            read.addr.eq(Cat(self.hash_row, self.slot)),
            self.state.eq(read.data),
            self.h.eq(read.data),
            write.en.eq(enables | self.write_h.replicate(len(write.en))),
            write.addr.eq(Cat(self.write_h, self.write_slot)),
            write.data.eq(Mux(self.write_h, self.new_h, self.new_state)),
            read.en.eq(~write.en.any()),
        ]
        read, write = memory_ports(m, "strings", self.strings, platform)
        m.d.comb += [
            read.addr.eq(self.string_address),
            self.string.eq(read.data),
            write.en.eq(self.write_string),
            write.addr.eq(self.write_string_address),
            write.data.eq(self.new_string),
            read.en.eq(~write.en),
        ]
        return m
