"""The slot store: keys, counters and replay windows, in memories rather than in registers.

A slot is one key in one direction of one epoch. It is spread over three memories, each read with
one cycle of latency:

- round keys: 16 words of 128 bits a key, two keys a slot. Key ``2 * slot`` is the AEAD key, key
  ``2 * slot + 1`` the record-number key (RFC 9147, 4.2.3);
- the context: what LOAD has fixed;
- the state: what records move.
"""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from driver.messages import CONNECTION_ID_BYTES, IV_BYTES
from hdl.aes.core import round_key_address_layout
from hdl.profile import Profile

__all__ = ["WORDS_PER_SLOT", "SlotStore", "context_layout", "state_layout"]

#: Words of round keys: two keys of up to 15 round keys, each aligned to 16.
WORDS_PER_SLOT = 32


def context_layout() -> data.StructLayout:
    """What LOAD has fixed; byte n of an array stands in bits 8n .. 8n+7."""
    return data.StructLayout(
        {
            "valid": 1,
            "aes256": 1,
            "usage": 2,
            "form": 8,
            "connection_id_bytes": 5,
            "epoch": 16,
            "iv": 8 * IV_BYTES,
            "connection_id": 8 * CONNECTION_ID_BYTES,
            "h": 128,
        }
    )


def state_layout(profile: Profile) -> data.StructLayout:
    """What records move.

    ``next`` is the sequence number to seal with, or one above the highest opened; bit i of
    ``seen`` says that record ``next - 1 - i`` has been opened; ``count`` is the number of records
    sealed, or of those that failed authentication.
    """
    return data.StructLayout({"next": 49, "seen": profile.window, "count": 37})


class SlotStore(wiring.Component):
    """All slots. Reads answer in the next cycle and hold while the address does; no read is gated.

    A write is seen by reads that start in the next cycle or later.
    """

    def __init__(self, profile: Profile):
        slot = range(profile.slots)
        address = round_key_address_layout(2 * profile.slots)
        super().__init__(
            {
                "round_key_address": In(address),
                "round_key": Out(128),
                "slot": In(slot),
                "context": Out(context_layout()),
                "state": Out(state_layout(profile)),
                "write_round_key": In(1),
                "write_address": In(address),
                "write_data": In(128),
                "write_slot": In(slot),
                "write_context": In(1),
                "new_context": In(context_layout()),
                "write_state": In(1),
                "new_state": In(state_layout(profile)),
            }
        )
        slots = profile.slots
        self.round_keys = Memory(shape=128, depth=slots * WORDS_PER_SLOT, init=[])
        self.contexts = Memory(shape=context_layout(), depth=slots, init=[])
        self.states = Memory(shape=state_layout(profile), depth=slots, init=[])

    def elaborate(self, platform):
        m = Module()
        m.submodules.round_keys = self.round_keys
        m.submodules.contexts = self.contexts
        m.submodules.states = self.states

        read, write = self.round_keys.read_port(), self.round_keys.write_port()
        m.d.comb += [
            read.addr.eq(self.round_key_address),
            self.round_key.eq(read.data),
            write.en.eq(self.write_round_key),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
        ]
        for memory, value, write_enable, new_value in (
            (self.contexts, self.context, self.write_context, self.new_context),
            (self.states, self.state, self.write_state, self.new_state),
        ):
            read, write = memory.read_port(), memory.write_port()
            m.d.comb += [
                read.addr.eq(self.slot),
                value.eq(read.data),
                write.en.eq(write_enable),
                write.addr.eq(self.write_slot),
                write.data.eq(new_value),
            ]
        return m
