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
    """INFO: 32 bytes in 33 cycles. STATS: 8 bytes a counter, 16 cycles each.

    A counter of STATS is read when its turn comes: each is exact, but the four which count cycles
    are some cycles apart. ``start``, ``index``, ``begins`` and ``value`` are those of
    `hdl.counters`, which adds nothing but a live counter's own cycles.
    """

    def __init__(self, profile: Profile):
        self._info = info(profile).pack()
        super().__init__(
            {
                "unit": In(UnitSignature()),
                "start": Out(1),
                "index": Out(range(len(Counter))),
                "begins": In(1),
                "value": In(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        unit = self.unit
        asks_info = unit.request.opcode == Opcode.INFO
        info_word = Const(int.from_bytes(self._info, "little"), 8 * INFO_BYTES)
        counters_bytes = 8 * len(Counter)
        position = Signal(range(counters_bytes))
        # The counters give their lowest byte first.
        place = Mux(asks_info, position, position ^ 7)
        m.d.comb += [
            unit.status.eq(Status.OK),
            unit.length.eq(Mux(asks_info, INFO_BYTES, counters_bytes)),
            unit.finished.eq(unit.finish),
            unit.write.address.eq(place + HEADER_BYTES),
            unit.write.data.eq(Mux(asks_info, info_word.word_select(position[:5], 8), self.value)),
            self.index.eq(position[3:]),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += position.eq(0)
                with m.If(unit.start):
                    m.next = "counter"
                    with m.If(asks_info):
                        m.next = "info"
            with m.State("info"):
                m.d.comb += unit.write.enable.eq(1)
                m.d.sync += position.eq(position + 1)
                with m.If(position == INFO_BYTES - 1):
                    m.next = "done"
            with m.State("counter"):
                m.d.comb += self.start.eq(1)
                with m.If(self.begins):
                    m.next = "bytes"
            with m.State("bytes"):
                m.d.comb += unit.write.enable.eq(1)
                m.d.sync += position.eq(position + 1)
                with m.If(position[:3] == 7):
                    m.next = "counter"
                with m.If(position == counters_bytes - 1):
                    m.next = "done"
            with m.State("done"):
                m.d.comb += unit.done.eq(1)
                m.next = "idle"
        return m
