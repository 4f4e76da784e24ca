"""The bench itself, on the AXI4-Stream ports around a FIFO: what goes in must come out."""

from random import Random

import cocotb
from amaranth.hdl import Module
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from cocotb_tests.runner import SEED, run
from cocotb_tests.streams import Bench, PacketSink, PacketSource
from hdl.packet_stream import AXI4StreamTop, PacketByte, packet_signature


class PacketFIFO(wiring.Component):
    requests: In(packet_signature())
    completions: Out(packet_signature())

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=PacketByte.size, depth=8)
        wiring.connect(m, wiring.flipped(self.requests), queue.w_stream)
        wiring.connect(m, queue.r_stream, wiring.flipped(self.completions))
        return m


def test_packets_cross_the_axi4_stream_ports():
    run(AXI4StreamTop(PacketFIFO()), __name__, "packet_stream")


@cocotb.test()
async def packets_come_out_as_they_went_in(dut):
    rng = Random(SEED)
    source, sink = PacketSource(dut, "s_axis"), PacketSink(dut, "m_axis")
    bench = Bench(dut, [source, sink], SEED)
    await bench.reset()
    for idle, stall in ((0, 0), (0.7, 0), (0, 0.7), (0.5, 0.5)):
        bench.pace(idle, stall)
        packets = [rng.randbytes(rng.randint(1, 40)) for _ in range(200)]
        for packet in packets:
            source.send(packet)
        total = sum(map(len, packets))
        await bench.run_until(lambda count=total: len(sink.items) == count, 10 * total)
        assert sink.receive() == packets
