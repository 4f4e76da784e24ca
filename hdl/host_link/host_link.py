"""The accelerator's packets over the two wires of a UART."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.frames import CLOCK_UNIT_HZ, FIRST_BAUD, LEAST_DIVISOR, LINK_VERSION, HostKind
from hdl.host_link.frame_receiver import FrameReceiver
from hdl.host_link.frame_transmitter import FrameTransmitter
from hdl.host_link.request_buffer import RequestBuffer
from hdl.host_link.uart import UARTReceiver, UARTTransmitter
from hdl.packet_stream import packet_signature
from hdl.port_width import Narrower, Widener

__all__ = ["HostLink"]

#: So many bytes without a stop bit, and no good frame among them, bring the first rate back.
_STRIKES = 8


class HostLink(wiring.Component):
    """Frames of docs/host-link.md on ``rx`` and ``tx``, whole packets on the streams.

    ``clock_hz`` is the frequency of the clock: 4 to 4,095 times the first rate of 115,200 baud.
    ``bus_bytes`` is the width of both streams. ``buffer_bytes``, a power of two, is the room for
    requests, and has to hold the longest one and its CRC. Raises ValueError for values out of
    range.

    A request leaves once its frame is whole and its CRC right, at a byte every six cycles at most.
    A completion is taken as fast as the wire and the host's credit let it. Nothing on ``rx`` stops
    the link: what is no frame is counted and dropped, and the next frame is taken.
    """

    def __init__(self, clock_hz: int, bus_bytes: int, buffer_bytes: int = 4096):
        self._first_divisor = round(clock_hz / FIRST_BAUD)
        if not LEAST_DIVISOR <= self._first_divisor < 1 << 12:
            raise ValueError(
                f"a clock of {clock_hz} Hz has {self._first_divisor} cycles for a bit of "
                f"{FIRST_BAUD} baud, not {LEAST_DIVISOR} to 4,095"
            )
        self._clock_hz = clock_hz
        self._bus_bytes = bus_bytes
        self._buffer_bytes = buffer_bytes
        self._buffer = RequestBuffer(buffer_bytes)
        super().__init__(
            {
                #: The wires, both high while idle; ``rx`` need not be synchronous.
                "rx": In(1),
                "tx": Out(1),
                "requests": Out(packet_signature(bus_bytes)),
                "completions": In(packet_signature(bus_bytes)),
                #: Strobes of a cycle: a good frame has come; a damaged one has, or a broken byte.
                "received": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self._first_divisor.bit_length()
        m.submodules.uart_receiver = uart_receiver = UARTReceiver(bits)
        m.submodules.uart_transmitter = uart_transmitter = UARTTransmitter(bits)
        m.submodules.frame_receiver = receiver = FrameReceiver()
        m.submodules.frame_transmitter = transmitter = FrameTransmitter()
        m.submodules.buffer = buffer = self._buffer
        m.d.comb += [
            uart_receiver.rx.eq(self.rx),
            self.tx.eq(uart_transmitter.tx),
            receiver.data.eq(uart_receiver.data),
            receiver.valid.eq(uart_receiver.valid),
            receiver.broken.eq(uart_receiver.broken),
            buffer.write.eq(receiver.write),
            buffer.first.eq(receiver.first),
            buffer.data.eq(receiver.byte),
            buffer.commit.eq(receiver.commit),
            buffer.drop.eq(receiver.drop),
            receiver.full.eq(buffer.full),
            transmitter.freed.eq(buffer.freed[-8:]),
            self.received.eq(receiver.good),
            self.damaged.eq(receiver.damaged | receiver.broken),
        ]
        wiring.connect(m, transmitter.bytes, uart_transmitter.bytes)
        self._connect_packets(m, buffer, transmitter)
        divisor = self._add_rate(m, receiver, transmitter, uart_transmitter.bytes.ready)
        m.d.comb += [uart_receiver.divisor.eq(divisor), uart_transmitter.divisor.eq(divisor)]
        self._add_status(m, receiver, transmitter, buffer.taken)
        return m

    def _connect_packets(self, m: Module, buffer, transmitter) -> None:
        requests, completions = wiring.flipped(self.requests), wiring.flipped(self.completions)
        if self._bus_bytes == 1:
            wiring.connect(m, buffer.packets, requests)
            wiring.connect(m, completions, transmitter.completions)
            return
        m.submodules.widener = widener = Widener(1, self._bus_bytes)
        m.submodules.narrower = narrower = Narrower(1, self._bus_bytes)
        wiring.connect(m, buffer.packets, widener.given)
        wiring.connect(m, widener.packets, requests)
        wiring.connect(m, completions, narrower.given)
        wiring.connect(m, narrower.packets, transmitter.completions)

    def _add_rate(self, m: Module, receiver, transmitter, wire_idle):
        """Cycles in a bit: what RATE asks for, once its answer has left; the first by strikes."""
        first = self._first_divisor
        divisor = Signal(range(first + 1), init=first)
        wanted = Signal()  # as the receiver still has it
        strikes = Signal(range(_STRIKES))
        high = receiver.argument[len(divisor) :]
        possible = ~high.any() & receiver.argument[2 : len(divisor)].any()
        with m.If(receiver.valid):
            m.d.sync += wanted.eq(receiver.good & (receiver.kind == HostKind.RATE) & possible)
        with m.Elif(wanted & transmitter.idle & ~transmitter.status & wire_idle):
            m.d.sync += [divisor.eq(receiver.argument), wanted.eq(0)]
        with m.If(receiver.good):
            m.d.sync += strikes.eq(0)
        with m.If(receiver.broken):
            m.d.sync += strikes.eq(strikes + 1)
            with m.If(strikes == _STRIKES - 1):
                m.d.sync += divisor.eq(first)
        return divisor

    def _add_status(self, m: Module, receiver, transmitter, taken) -> None:
        """Counters and credit, and when the host is told of them."""
        packets, damaged, limit = Signal(8), Signal(8), Signal(8)
        status, damage, told = Signal(), Signal(), Signal()
        token = Signal(4)
        asked = (receiver.kind == HostKind.SYNC) | (receiver.kind == HostKind.RATE)
        clock = round(self._clock_hz / CLOCK_UNIT_HZ)
        limits = (self._buffer_bytes.bit_length() - 1) << 4 | LINK_VERSION
        report = (packets, taken[-8:], damaged, clock >> 8, clock & 0xFF, limits)
        m.d.comb += [
            *(byte.eq(value) for byte, value in zip(transmitter.report, report, strict=True)),
            transmitter.limit.eq(limit),
            transmitter.status.eq(status),
            transmitter.token.eq(token),
            transmitter.damage.eq(damage),
        ]
        m.d.sync += damaged.eq(damaged + self.damaged)
        with m.If(transmitter.status_begins):
            m.d.sync += status.eq(0)
        with m.If(transmitter.damage_begins):
            m.d.sync += damage.eq(0)
        with m.If(receiver.good):
            m.d.sync += told.eq(0)
            with m.If(asked):
                m.d.sync += [status.eq(1), token.eq(receiver.token)]
            with m.Else():
                m.d.sync += limit.eq(receiver.argument)
        with m.If(receiver.commit):
            m.d.sync += packets.eq(packets + 1)
        with m.If(receiver.damaged):
            m.d.sync += told.eq(1)
            with m.If(~told):
                m.d.sync += damage.eq(1)
