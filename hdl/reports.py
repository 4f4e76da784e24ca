"""The unit behind INFO and STATS."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import (
    CONNECTION_ID_BYTES,
    CONTRACT_VERSION,
    HEADER_BYTES,
    INFO_BYTES,
    Counter,
    Info,
    Opcode,
    Status,
    Suite,
)
from hdl.profile import Profile
from hdl.unit import UnitSignature

__all__ = ["Reports", "info"]


def info(profile: Profile) -> Info:
    """What INFO says of an accelerator of this profile."""
    return Info(
        CONTRACT_VERSION,
        profile.slots,
        profile.largest_record,
        profile.window,
        frozenset(Suite),
        CONNECTION_ID_BYTES,
        profile.name,
        profile.build,
    )


class Reports(wiring.Component):
    """INFO: 32 bytes in 33 cycles. STATS: 8 bytes a counter, 11 cycles each.

    A counter of STATS is read when its turn comes: each is exact, but the four which count cycles
    are a few cycles apart.
    """

    def __init__(self, profile: Profile):
        self._info = info(profile).pack()
        super().__init__(
            {
                "unit": In(UnitSignature()),
                "reading": Out(1),
                "read": Out(range(len(Counter))),
                "value": In(64),
            }
        )

    def elaborate(self, platform):
        m = Module()
        unit = self.unit
        asks_info = unit.request.opcode == Opcode.INFO
        info_word = Const(int.from_bytes(self._info, "little"), 8 * INFO_BYTES)

        position = Signal(16)
        word = Signal(64)
        latch, shift = Signal(), Signal()
        with m.If(latch | shift):
            m.d.sync += word.eq(Mux(latch, self.value, word << 8))
        address = position + HEADER_BYTES
        counters_bytes = 8 * len(Counter)
        m.d.comb += [
            unit.status.eq(Status.OK),
            unit.length.eq(Mux(asks_info, INFO_BYTES, counters_bytes)),
            unit.finished.eq(unit.finish),
            self.read.eq(position[3:]),
            unit.write.address.eq(address),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += position.eq(0)
                with m.If(unit.start):
                    with m.If(asks_info):
                        m.next = "info"
                    with m.Else():
                        m.next = "read"
            with m.State("info"):
                m.d.comb += [
                    unit.write.enable.eq(1),
                    unit.write.data.eq(info_word.word_select(position[:5], 8)),
                ]
                m.d.sync += position.eq(position + 1)
                with m.If(position == INFO_BYTES - 1):
                    m.next = "done"
            with m.State("read"):
                m.d.comb += self.reading.eq(1)
                m.next = "read on"
            with m.State("read on"):
                m.d.comb += self.reading.eq(1)
                m.next = "latch"
            with m.State("latch"):
                m.d.comb += latch.eq(1)
                m.next = "word"
            with m.State("word"):
                m.d.comb += [
                    unit.write.enable.eq(1),
                    unit.write.data.eq(word[56:]),
                    shift.eq(1),
                ]
                m.d.sync += position.eq(position + 1)
                with m.If(position == counters_bytes - 1):
                    m.next = "done"
                with m.Elif(position[:3] == 7):
                    m.next = "read"
            with m.State("done"):
                m.d.comb += unit.done.eq(1)
                m.next = "idle"
        return m
