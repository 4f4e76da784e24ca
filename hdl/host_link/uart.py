"""A UART: 8 data bits, least significant first, no parity, one stop bit."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UARTReceiver", "UARTTransmitter"]

#: Start bit, data, stop bit.
_BITS = 10


class UARTReceiver(wiring.Component):
    """Bytes from a wire. A bit takes ``divisor`` cycles, from 4 on and below ``2**divisor_bits``.

    Each bit is sampled once, in its middle, to a cycle. The sender may be off by a 20th at most,
    less half a cycle in nine bits. A line that stays low is one byte after the other without a stop
    bit, so that a break and the bits of a slower sender are ``broken`` many times.
    """

    def __init__(self, divisor_bits: int):
        super().__init__(
            {
                #: High while idle; asynchronous.
                "rx": In(1),
                "divisor": In(divisor_bits),
                "data": Out(8),
                #: Strobe: ``data`` is a byte.
                "valid": Out(1),
                #: Strobe: where a stop bit should have been, the line was low.
                "broken": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)
        timer = Signal.like(self.divisor)  # cycles until the next sample
        left = Signal(range(_BITS + 1))  # samples until the line is idle again
        sample = Signal()
        m.d.comb += [
            sample.eq((left != 0) & (timer == 1)),
            self.valid.eq(sample & (left == 1) & rx),
            self.broken.eq(sample & (left == 1) & ~rx),
        ]
        with m.If(left == 0):
            m.d.sync += timer.eq(self.divisor >> 1)
            with m.If(~rx):
                m.d.sync += left.eq(_BITS)
        with m.Elif(~sample):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.divisor), left.eq(left - 1)]
            with m.If((left == _BITS) & rx):  # too short for a start bit
                m.d.sync += left.eq(0)
            with m.If(left != 1):
                m.d.sync += self.data.eq(Cat(self.data[1:], rx))
        return m


class UARTTransmitter(wiring.Component):
    """Bytes to a wire, ``divisor`` cycles a bit, and one cycle between two bytes."""

    def __init__(self, divisor_bits: int):
        super().__init__(
            {"tx": Out(1), "divisor": In(divisor_bits), "bytes": In(stream.Signature(8))}
        )

    def elaborate(self, platform):
        m = Module()
        bits = Signal(_BITS, init=(1 << _BITS) - 1)
        timer = Signal.like(self.divisor)
        left = Signal(range(_BITS + 1))
        m.d.comb += [self.tx.eq(bits[0]), self.bytes.ready.eq(left == 0)]
        with m.If(left == 0):
            m.d.sync += timer.eq(self.divisor)
            with m.If(self.bytes.valid):
                m.d.sync += [bits.eq(Cat(Const(0, 1), self.bytes.payload, 1)), left.eq(_BITS)]
        with m.Elif(timer != 1):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [
                timer.eq(self.divisor),
                bits.eq(Cat(bits[1:], 1)),
                left.eq(left - 1),
            ]
        return m
