"""Packets through registers on AXI4-Lite, for a processor without a stream of its own."""

from enum import IntEnum

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["IDENTITY", "WORD_BYTES", "AXI4LiteTop", "Register", "Response"]

#: Bytes of a packet in a word of the bus.
WORD_BYTES = 4
#: What `Register.IDENTITY` reads as: "INT" in ASCII, and the version of this map of registers.
IDENTITY = 0x494E5401

_ADDRESS_BITS = 6


class Register(IntEnum):
    """Addresses in bytes; docs/registers.md describes them."""

    IDENTITY = 0x00
    STATUS = 0x04
    INTERRUPT_ENABLE = 0x08
    REQUEST = 0x0C
    #: The end of a request, with 1 to 4 bytes.
    REQUEST_LAST_1 = 0x10
    REQUEST_LAST_2 = 0x14
    REQUEST_LAST_3 = 0x18
    REQUEST_LAST_4 = 0x1C
    COMPLETION = 0x20


class Response(IntEnum):
    """BRESP and RRESP (AXI4, A3.4.4)."""

    OKAY = 0
    SLVERR = 2


class AXI4LiteTop(wiring.Component):
    """A component with packet streams ``requests`` and ``completions`` of 4 bytes, in registers.

    AXI4-Lite with 32 bits of data and 6 of address, whose two lowest do not count. A write is taken
    in the cycle after its address and its data are both there, and its response comes in the next
    one. A read is taken at once, and its data come in the next cycle. Each direction takes at most
    one transfer in two cycles, and neither waits for the component: what it cannot take, or does
    not have, gets SLVERR and changes nothing. Writes have whole words: with another WSTRB than 1111
    they get SLVERR too. No output of the bus depends on an input in the same cycle (AXI4, A3.2.1).

    ``irq`` is high while an enabled bit of STATUS is set. A word that has gone on, in either
    direction, is not kept.

    Raises ValueError if the streams are not 4 bytes wide.
    """

    s_axil_awaddr: In(_ADDRESS_BITS)
    s_axil_awprot: In(3)
    s_axil_awvalid: In(1)
    s_axil_awready: Out(1)
    s_axil_wdata: In(32)
    s_axil_wstrb: In(4)
    s_axil_wvalid: In(1)
    s_axil_wready: Out(1)
    s_axil_bresp: Out(2)
    s_axil_bvalid: Out(1)
    s_axil_bready: In(1)
    s_axil_araddr: In(_ADDRESS_BITS)
    s_axil_arprot: In(3)
    s_axil_arvalid: In(1)
    s_axil_arready: Out(1)
    s_axil_rdata: Out(32)
    s_axil_rresp: Out(2)
    s_axil_rvalid: Out(1)
    s_axil_rready: In(1)
    irq: Out(1)

    def __init__(self, core: wiring.Component):
        for packets in (core.requests, core.completions):
            width = len(packets.payload.data) // 8
            if width != WORD_BYTES:
                raise ValueError(f"requests or completions are {width} bytes wide, not 4")
        super().__init__()
        self._core = core
        #: What was written and the component has not yet taken.
        self._held = Signal()
        self._enabled = Signal(2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = self._core
        m.d.comb += self.irq.eq((self._enabled & self._status).any())
        self._take_writes(m)
        self._take_reads(m)
        return m

    @property
    def _status(self):
        """Bit 0: a word of a request can be written; bit 1: one of a completion can be read."""
        return Cat(~self._held, self._core.completions.valid)

    def _take_writes(self, m: Module) -> None:
        requests = self._core.requests
        taken, understood = Signal(), Signal()
        m.d.comb += [
            self.s_axil_awready.eq(taken),
            self.s_axil_wready.eq(taken),
            requests.valid.eq(self._held),
        ]
        # What is valid stays so until it is taken (A3.2.1): the next cycle has both.
        offered = self.s_axil_awvalid & self.s_axil_wvalid & ~taken
        m.d.sync += taken.eq(offered & (~self.s_axil_bvalid | self.s_axil_bready))
        with m.If(self.s_axil_bready):
            m.d.sync += self.s_axil_bvalid.eq(0)
        with m.If(requests.valid & requests.ready):
            m.d.sync += [self._held.eq(0), requests.payload.data.eq(0)]
        with m.If(taken):
            with m.If(self.s_axil_wstrb.all()):
                self._write(m, understood)
            m.d.sync += [
                self.s_axil_bvalid.eq(1),
                self.s_axil_bresp.eq(Mux(understood, Response.OKAY, Response.SLVERR)),
            ]

    def _write(self, m: Module, understood: Signal) -> None:
        payload = self._core.requests.payload
        endings = {Register[f"REQUEST_LAST_{count}"]: count for count in range(1, WORD_BYTES + 1)}
        with m.Switch(self.s_axil_awaddr[2:]):
            with m.Case(Register.INTERRUPT_ENABLE >> 2):
                m.d.comb += understood.eq(1)
                m.d.sync += self._enabled.eq(self.s_axil_wdata)
            for register, count in {Register.REQUEST: WORD_BYTES, **endings}.items():
                with m.Case(register >> 2), m.If(~self._held):
                    m.d.comb += understood.eq(1)
                    m.d.sync += [
                        self._held.eq(1),
                        # Null bytes are not kept either.
                        payload.data.eq(self.s_axil_wdata[: 8 * count]),
                        payload.bytes.eq(count),
                        payload.last.eq(register in endings),
                    ]

    def _take_reads(self, m: Module) -> None:
        completions = self._core.completions
        taken, read, understood = Signal(), Signal(32), Signal()
        m.d.comb += [
            self.s_axil_arready.eq(~self.s_axil_rvalid),
            taken.eq(self.s_axil_arvalid & self.s_axil_arready),
        ]
        with m.If(self.s_axil_rvalid & self.s_axil_rready):
            m.d.sync += [self.s_axil_rvalid.eq(0), self.s_axil_rdata.eq(0)]
        with m.Switch(self.s_axil_araddr[2:]):
            for register, value in (
                (Register.IDENTITY, Const(IDENTITY, 32)),
                (Register.STATUS, self._status),
                (Register.INTERRUPT_ENABLE, self._enabled),
            ):
                with m.Case(register >> 2):
                    m.d.comb += [read.eq(value), understood.eq(1)]
            with m.Case(Register.COMPLETION >> 2), m.If(completions.valid):
                m.d.comb += [
                    read.eq(self._valid_bytes),
                    understood.eq(1),
                    completions.ready.eq(taken),
                ]
        with m.If(taken):
            m.d.sync += [
                self.s_axil_rvalid.eq(1),
                self.s_axil_rdata.eq(read),
                self.s_axil_rresp.eq(Mux(understood, Response.OKAY, Response.SLVERR)),
            ]

    @property
    def _valid_bytes(self):
        """The word of the completion; zeros where it has ended."""
        beat = self._core.completions.payload
        return Cat(
            Mux(beat.bytes > lane, beat.data.word_select(lane, 8), 0) for lane in range(WORD_BYTES)
        )
