"""AES-GCM as a design of its own: the block, an AES core and the memory of its round keys."""

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.aes.iterative import IterativeAES
from hdl.aes.key_schedule import KeyRequest, KeySchedule
from hdl.aes.sbox import SBoxForm
from hdl.gcm import GCM, TextBlock, command_layout

__all__ = ["KEYS", "GCMTop"]

#: Keys that the memory holds.
KEYS = 2


class GCMTop(wiring.Component):
    """The streams of `GCM`, and ``keys`` to load keys with, into place ``key_index``.

    A key can be used 16 cycles after it has been taken.
    """

    keys: In(stream.Signature(KeyRequest))
    key_index: In(range(KEYS))
    h: In(128)
    commands: In(stream.Signature(command_layout(KEYS)))
    blocks: In(stream.Signature(128))
    text: Out(stream.Signature(TextBlock))
    tag: Out(stream.Signature(128))

    def elaborate(self, platform):
        m = Module()
        m.submodules.schedule = schedule = KeySchedule(SBoxForm.TABLE)
        m.submodules.aes = aes = IterativeAES(KEYS, SBoxForm.TABLE)
        m.submodules.gcm = gcm = GCM(KEYS)
        m.submodules.memory = memory = Memory(shape=128, depth=16 * KEYS, init=[])
        write, read = memory.write_port(), memory.read_port()

        for port, outer in (
            (schedule.keys, self.keys),
            (gcm.commands, self.commands),
            (gcm.blocks, self.blocks),
            (gcm.text, self.text),
            (gcm.tag, self.tag),
        ):
            wiring.connect(m, port, wiring.flipped(outer))
        wiring.connect(m, gcm.aes_requests, aes.requests)
        wiring.connect(m, gcm.aes_results, aes.results)
        m.d.comb += [
            gcm.h.eq(self.h),
            schedule.round_keys.ready.eq(1),
            write.en.eq(schedule.round_keys.valid),
            write.addr.eq(Cat(schedule.round_keys.payload.round, self.key_index)),
            write.data.eq(schedule.round_keys.payload.round_key),
            read.addr.eq(aes.round_key_address),
            aes.round_key.eq(read.data),
        ]
        return m
