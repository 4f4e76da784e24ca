"""Components small enough to compile in a few seconds."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hdl.packet_stream import packet_layout, packet_signature


class Incrementer(wiring.Component):
    """Returns each packet with one added to every byte, the invalid ones of a beat as well."""

    def __init__(self, width_bytes=1):
        self._layout = packet_layout(width_bytes)
        self._lanes = range(0, 8 * width_bytes, 8)
        signature = packet_signature(width_bytes)
        super().__init__({"requests": In(signature), "completions": Out(signature)})

    @staticmethod
    def model(packet):
        return bytes((byte + 1) % 256 for byte in packet)

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self._layout.size, depth=16)
        beat = self._layout(fifo.r_data)
        m.d.comb += [
            fifo.w_data.eq(self.requests.payload),
            fifo.w_en.eq(self.requests.valid),
            self.requests.ready.eq(fifo.w_rdy),
            self.completions.payload.eq(beat),
            self.completions.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.completions.ready),
        ]
        for lane in self._lanes:
            m.d.comb += self.completions.payload.data[lane : lane + 8].eq(beat.data[lane:][:8] + 1)
        return m


class Trimmer(wiring.Component):
    """Returns each packet a cycle later, without its last byte: its last beat may be empty."""

    def __init__(self, width_bytes):
        signature = packet_signature(width_bytes)
        super().__init__({"requests": In(signature), "completions": Out(signature)})

    @staticmethod
    def model(packet):
        return packet[:-1]

    def elaborate(self, platform):
        m = Module()
        requested, completed = self.requests.payload, self.completions.payload
        m.d.comb += self.requests.ready.eq(self.completions.ready | ~self.completions.valid)
        with m.If(self.requests.ready):
            m.d.sync += [
                completed.eq(requested),
                completed.bytes.eq(requested.bytes - requested.last),
                self.completions.valid.eq(self.requests.valid),
            ]
        return m


class Ladder(wiring.Component):
    """Returns each packet at once, its bytes through a structure whose fields follow each other."""

    requests: In(packet_signature())
    completions: Out(packet_signature())

    def elaborate(self, platform):
        m = Module()
        rungs = Signal(data.StructLayout({"first": 8, "second": 8, "third": 8}))
        beats = Signal(8)
        m.d.sync += beats.eq(beats + 1)
        m.d.comb += [
            rungs.first.eq(self.requests.payload.data + beats),
            rungs.second.eq(rungs.first ^ 0x55),
            rungs.third.eq(rungs.second + 1),
            self.completions.payload.data.eq(rungs.third),
            self.completions.payload.last.eq(self.requests.payload.last),
            self.completions.valid.eq(self.requests.valid),
            self.requests.ready.eq(self.completions.ready),
        ]
        return m


class Crossing(wiring.Component):
    """Returns each packet at once; ``valid`` crosses two submodules, which cross each other.

    No loop, but no order of whole signals either: CXXRTL needs several delta cycles for it.
    """

    requests: In(packet_signature())
    completions: Out(packet_signature())

    def elaborate(self, platform):
        m = Module()
        m.submodules.one = one = _Pass()
        m.submodules.other = other = _Pass()
        beats = Signal(8)
        m.d.sync += beats.eq(beats + one.o[1])
        m.d.comb += [
            one.i.eq(Cat(self.requests.valid, other.o[0])),
            other.i.eq(Cat(one.o[0], one.i[0])),
            self.completions.valid.eq(one.o[1]),
            self.completions.payload.last.eq(self.requests.payload.last),
            self.completions.payload.data.eq(self.requests.payload.data + beats),
            self.requests.ready.eq(self.completions.ready),
        ]
        return m


class _Pass(wiring.Component):
    i: In(2)
    o: Out(2)

    def elaborate(self, platform):
        m = Module()
        for bit in range(2):
            with m.If(self.i[bit]):
                m.d.comb += self.o[bit].eq(1)
        return m
