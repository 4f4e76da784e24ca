"""AES-GCM as a design of its own: the block, an AES core and the memory of its round keys."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.aes.key_schedule import KeySchedule, KeyWord
from hdl.aes.sbox import SBoxForm
from hdl.aes.serial import SerialAES
from hdl.gcm import GCM, command_layout

__all__ = ["KEYS", "LONGEST_TEXT", "GCMTop"]

#: Keys that the memory holds.
KEYS = 2
#: Bytes of text and tag.
LONGEST_TEXT = 512


class GCMTop(wiring.Component):
    """The ports of `GCM` as streams, and ``keys`` to load keys with, into place ``key_index``.

    A key can be used 196 cycles after its last word has been taken. Of each message, ``verdicts``
    says whether it is genuine; its text may be taken at any pace.
    """

    keys: In(stream.Signature(KeyWord))
    key_index: In(range(KEYS))
    h: In(128)
    commands: In(stream.Signature(command_layout(KEYS)))
    bytes: In(stream.Signature(8))
    text: Out(stream.Signature(8))
    verdicts: Out(stream.Signature(1))

    def elaborate(self, platform):
        m = Module()
        m.submodules.schedule = schedule = KeySchedule(SBoxForm.TABLE)
        m.submodules.aes = aes = SerialAES(KEYS)
        m.submodules.gcm = gcm = GCM(KEYS)
        m.submodules.memory = memory = Memory(shape=128, depth=16 * KEYS, init=[])
        write, read = memory.write_port(), memory.read_port()
        command = Signal(command_layout(KEYS))

        m.submodules.text = text = SyncFIFOBuffered(width=8, depth=LONGEST_TEXT)
        m.submodules.verdicts = verdicts = SyncFIFOBuffered(width=1, depth=2)

        idle = Signal(init=1)
        m.d.comb += [self.commands.ready.eq(idle), gcm.start.eq(self.commands.valid & idle)]
        with m.If(gcm.start):
            m.d.comb += gcm.command.eq(self.commands.payload)
            m.d.sync += [command.eq(self.commands.payload), idle.eq(0)]
        with m.Else():
            m.d.comb += gcm.command.eq(command)
        done = Signal()
        m.d.sync += done.eq(gcm.done)
        with m.If(done):
            m.d.sync += idle.eq(1)
        m.d.comb += [
            text.w_en.eq(gcm.text.valid),
            text.w_data.eq(gcm.text.payload),
            verdicts.w_en.eq(done),
            verdicts.w_data.eq(gcm.genuine),
        ]
        wiring.connect(m, schedule.keys, wiring.flipped(self.keys))
        wiring.connect(m, gcm.bytes, wiring.flipped(self.bytes))
        wiring.connect(m, text.r_stream, wiring.flipped(self.text))
        wiring.connect(m, verdicts.r_stream, wiring.flipped(self.verdicts))
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
