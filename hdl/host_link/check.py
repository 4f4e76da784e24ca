"""The CRC-32 of frames, a bit a cycle: bytes come far apart, and gates are few."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.crc import Algorithm
from amaranth.lib.wiring import In, Out

__all__ = ["FrameCheck"]

#: RFC 1662, C.3. Bytes go in bit by bit, least significant first, which is what reflects them.
_CRC_32 = Algorithm(
    crc_width=32,
    polynomial=0x04C11DB7,
    initial_crc=0xFFFFFFFF,
    reflect_input=False,
    reflect_output=True,
    xor_output=0xFFFFFFFF,
)


class FrameCheck(wiring.Component):
    """The CRC-32 of the bytes since ``start``, 9 cycles after the last; they come 9 apart.

    The register shifts where its next bit meets the same bit as data, and so gives the CRC away a
    byte after the other, with no choice among four.
    """

    def __init__(self):
        super().__init__(
            {
                #: Strobes: nothing so far; and ``data`` is the next byte.
                "start": In(1),
                "valid": In(1),
                "data": In(8),
                #: With ``valid``: not a byte, but the CRC's first one goes, for the next.
                "shift": In(1),
                #: The first byte of the CRC.
                "crc": Out(8),
                #: A byte is still to be reckoned with.
                "busy": Out(1),
                #: The last four bytes are the CRC of those before them.
                "match": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        processor = _CRC_32(data_width=1).create()
        # Its own `start` is made for a byte in the same cycle, and takes a gate for each bit.
        m.submodules.processor = ResetInserter(self.start)(processor)
        bits = Signal(9)  # those to come, and a one behind them
        shifts = Signal()
        m.d.comb += [
            self.busy.eq(bits[1:].any()),
            processor.valid.eq(self.busy),
            processor.data.eq(Mux(shifts, ~processor.crc[0], bits[0])),
            self.crc.eq(processor.crc[:8]),
            self.match.eq(processor.match_detected),
        ]
        with m.If(self.valid):
            m.d.sync += [bits.eq(Cat(self.data, 1)), shifts.eq(self.shift)]
        with m.Elif(self.busy):
            m.d.sync += bits.eq(bits >> 1)
        return m
