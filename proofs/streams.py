"""Every stream that a block gives keeps its rules: one property for each block."""

from collections.abc import Callable
from types import SimpleNamespace

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib.memory import Memory

from hdl.accelerator import Accelerator
from hdl.aes.key_schedule import KeySchedule
from hdl.aes.serial import SerialAES
from hdl.block_ram import BlockRAM
from hdl.gcm import GCM
from hdl.header import HeaderBuilder
from hdl.host_link.request_buffer import RequestBuffer
from hdl.loader import SlotLoader
from hdl.packet_stream import AXI4StreamTop
from hdl.pipeline.egress import Egress
from hdl.pipeline.lookup import Lookup
from hdl.pipeline.narrow_packer import NarrowPacker
from hdl.pipeline.numbering import Numbering
from hdl.pipeline.packer import Packer
from hdl.pipeline.queue import BlockQueue, Places, Queue, SkidBuffer
from hdl.pipeline.scheduler import Scheduler
from hdl.port_width import Narrower, Widener
from hdl.profile import COMPACT, FAST, TINY, AESCore, Profile
from hdl.release_buffer import ReleaseBuffer
from hdl.request_reader import RequestReader
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.serial_timing import SMALL
from proofs.stream_rules import StreamBench, StreamRules

__all__ = ["NOT_PROVED", "PROPERTIES", "SMALL_RING", "blocks"]

#: With the ring, and small enough for runs from reset.
SMALL_RING = Profile(
    "ring", slots=2, largest_record=64, window=4, aes=AESCore.RING, ghash_digit=4, bus_bytes=4
)

#: By block and stream, why it has no property here.
NOT_PROVED = {
    ("Accelerator", "completions"): "wires to the AXI4-Stream port, which has one",
    ("SerialAccelerator", "completions"): "likewise",
    ("PipelinedAccelerator", "completions"): "likewise",
    ("HostLink", "requests"): "wires from a `RequestBuffer` or a `Widener`, which have one",
    ("Planner", "plans"): "valid falls with room, as it says; its reader gives the room",
    ("Lookup", "front_plans"): "likewise: they are the planner's",
    ("FrameTransmitter", "bytes"): "counters that change show in a byte that waits; its reader, "
    "`UARTTransmitter`, looks at a byte in the cycle in which it takes it only",
    ("RecordEngine", "aes_requests"): "that GCM asks for nothing while a mask is made follows from "
    "how many blocks it has asked for: tested in tests/hdl/test_accelerator.py, not proved",
    ("Control", "hashed"): "in registers that other states of its sequence write: tested in "
    "tests/hdl/pipeline/, not proved",
}


def _axi(profile: Profile) -> StreamBench:
    """An accelerator with the streams of AXI4-Stream in their ports' names."""

    def streams(top):
        keep = (top.s_axis_tkeep, top.m_axis_tkeep) if top.width_bytes > 1 else (Cat(), Cat())
        signature = SimpleNamespace(always_ready=False)
        sink, source = (
            SimpleNamespace(
                valid=getattr(top, f"{side}_axis_tvalid"),
                ready=getattr(top, f"{side}_axis_tready"),
                payload=Cat(
                    getattr(top, f"{side}_axis_tdata"), getattr(top, f"{side}_axis_tlast"), lanes
                ),
                signature=signature,
            )
            for side, lanes in zip("sm", keep, strict=True)
        )
        return {"m_axis": source}, {"s_axis": sink}, {}

    return StreamBench(AXI4StreamTop(Accelerator(profile)), streams=streams)


def _while_it_waits(name: str):
    """An input that stays as it is while what the stream of this name gives is not taken."""

    def drive(m, block, anything):
        port = getattr(block, name)
        stays, last, given = Signal(), Signal.like(anything), Signal.like(anything)
        m.d.comb += given.eq(Mux(stays, last, anything))
        m.d.sync += [stays.eq(port.valid & ~port.ready), last.eq(given)]
        return given

    return drive


class _Steady(Elaboratable):
    """A `BlockRAM` of which no more is known than that a word stays, if nothing is written to it.

    That is, as long as its address does; what is read of another one is anything.
    """

    def __init__(self, block: BlockRAM):
        self._block = block

    def __getattr__(self, name: str):
        return getattr(self._block, name)

    def elaborate(self, platform):
        m = Module()
        block = self._block
        block._MustUse__used = True
        m.submodules.anything = anything = Memory(self._block.memory)
        read, write = anything.read_port(domain="comb"), anything.write_port()
        address, written = Signal.like(block.read_address), Signal()
        word, last, output = (Signal.like(read.data) for _ in range(3))
        stays = (block.read_address == address) & ~written
        m.d.comb += [
            write.en.eq(block.write),
            write.addr.eq(block.write_address),
            write.data.eq(block.write_data),
            read.addr.eq(block.read_address),
            word.eq(Mux(stays, last, read.data)),
            block.read_data.eq(output),
        ]
        m.d.sync += [
            address.eq(block.read_address),
            written.eq(block.write & (block.write_address == block.read_address)),
            last.eq(word),
            output.eq(last),
        ]
        return m


def _slow_block_queue() -> StreamBench:
    """Nothing is written to the place of the block that waits."""
    queue = BlockQueue(8, slow=True)
    queue.memory = _Steady(queue.memory)
    return StreamBench(
        Opened(queue),
        lambda block: {
            "one": ~(block["fetched"] & block["arrives"]),
            "comes": block["busy"] | ~(block["fetched"] | block["arrives"]),
            "there": ~block.blocks.valid | (block["busy"] & ~block["fetched"] & ~block["arrives"]),
        },
        driven={
            "write": lambda m, block, anything: (
                anything & (block.address != block.memory.read_address)
            )
        },
        before=4,
    )


def _ring_scheduler() -> StreamBench:
    """Of the ring, in which a block waits for its place."""
    block = Scheduler(SMALL_RING, 64, 8, 1, 13)
    return StreamBench(
        Opened(block),
        lambda block: {
            "waits": ~(block["may_advance"] & block.blocks.valid),
            "late": ~(block["late"] & block["idle"]),
            "uses": block.blocks.valid | ~block["uses"].any(),
        },
    )


_LOST = Mutant(
    what="the next payload takes the place of one that was not taken",
    module="hdl.pipeline.queue",
    old="moved.eq(stored & (~self.read.valid | self.read.ready))",
    new="moved.eq(stored)",
)

_FETCHED_EARLY = Mutant(
    what="the next byte is fetched before this one is taken",
    module="hdl.release_buffer",
    old="(left != 0) | lengths.valid) & (~self.packets.valid | self.packets.ready))",
    new="(left != 0) | lengths.valid))",
)

#: Each block, and what is broken in it.
_BLOCKS: dict[str, tuple[str, Callable[[], StreamBench], Mutant]] = {
    "request_reader": (
        "RequestReader",
        lambda: StreamBench(RequestReader(bytes(8))),
        Mutant(
            what="a byte of the payload is valid once it is asked for",
            module="hdl.request_reader",
            old="self.payload.valid.eq(available)",
            new="self.payload.valid.eq(available & self.payload.ready)",
        ),
    ),
    "release_buffer": (
        "ReleaseBuffer",
        lambda: StreamBench(ReleaseBuffer(16)),
        _FETCHED_EARLY,
    ),
    "header_builder": (
        "HeaderBuilder",
        lambda: StreamBench(
            HeaderBuilder(),
            driven=dict.fromkeys(
                ("flags", "connection_id_byte", "connection_id_bytes", "wire", "length"),
                _while_it_waits("bytes"),
            ),
        ),
        Mutant(
            what="the next byte follows a cycle later, taken or not",
            module="hdl.header",
            old="step.eq(building & self.bytes.ready)",
            new="step.eq(building)",
        ),
    ),
    "key_schedule": (
        "KeySchedule",
        lambda: StreamBench(KeySchedule()),
        Mutant(
            what="the next round key is made before this one is taken",
            module="hdl.aes.key_schedule",
            old="with m.If(self.round_keys.ready):",
            new="with m.If(self.round_keys.valid):",
        ),
    ),
    "serial_aes": (
        "SerialAES",
        lambda: StreamBench(SerialAES(4)),
        Mutant(
            what="a result is there for one cycle",
            module="hdl.aes.serial",
            old="with m.If(self.results.ready):",
            new="with m.If(self.results.valid):",
        ),
    ),
    "gcm": (
        "GCM, which begins only while it asks for nothing,",
        lambda: StreamBench(
            GCM(4, digit=1),
            driven={
                "command": _while_it_waits("aes_requests"),
                "start": lambda m, block, anything: anything & ~block.aes_requests.valid,
            },
        ),
        Mutant(
            what="the next counter block takes the place of one that was not taken",
            module="hdl.gcm",
            old="with m.If(self.aes_requests.valid & self.aes_requests.ready):",
            new="with m.If(self.aes_requests.valid):",
        ),
    ),
    "slot_loader": (
        "SlotLoader",
        lambda: StreamBench(SlotLoader(SMALL)),
        Mutant(
            what="the block that becomes H is asked for in one cycle only",
            module="hdl.loader",
            old="with m.If(self.aes_requests.ready):",
            new="with m.If(self.aes_requests.valid):",
        ),
    ),
    "widener": (
        "Widener",
        lambda: StreamBench(Widener(4, 16)),
        Mutant(
            what="a beat is taken while the last one waits",
            module="hdl.port_width",
            old="given.ready.eq(~packets.valid | packets.ready)",
            new="given.ready.eq(1)",
        ),
    ),
    "narrower": (
        "Narrower",
        lambda: StreamBench(Narrower(4, 16)),
        Mutant(
            what="a narrow beat goes, taken or not",
            module="hdl.port_width",
            old="with m.If(packets.valid & packets.ready):",
            new="with m.If(packets.valid):",
        ),
    ),
    "request_buffer": (
        "RequestBuffer",
        lambda: StreamBench(RequestBuffer(64)),
        Mutant(
            what="who is ready too early loses a byte",
            module="hdl.host_link.request_buffer",
            old="leaves.eq(self.packets.valid & self.packets.ready)",
            new="leaves.eq(self.packets.ready)",
        ),
    ),
    "queue": ("Queue, of one memory", lambda: StreamBench(Queue(2, 4)), _LOST),
    "queue_rows": ("Queue, of several memories", lambda: StreamBench(Queue(40, 40)), _LOST),
    "block_queue": ("BlockQueue", lambda: StreamBench(BlockQueue(8)), _LOST),
    "slow_block_queue": (
        "BlockQueue, where it is slow,",
        _slow_block_queue,
        Mutant(
            what="a block is fetched while another one waits",
            module="hdl.pipeline.queue",
            old="m.d.comb += [fetch.eq(some & ~busy),",
            new="m.d.comb += [fetch.eq(some),",
        ),
    ),
    "numbering": ("Numbering", lambda: StreamBench(Numbering(SMALL_RING)), _LOST),
    "packer": ("Packer", lambda: StreamBench(Packer()), _LOST),
    "narrow_packer": ("NarrowPacker", lambda: StreamBench(NarrowPacker(4)), _LOST),
    "egress": ("Egress", lambda: StreamBench(Egress(64, 4)), _LOST),
    "lookup": (
        "Lookup (its beats)",
        lambda: StreamBench(Lookup(SMALL_RING), without=["front_plans"]),
        _LOST,
    ),
    "places": (
        "Places",
        lambda: StreamBench(Places(4, 2)),
        Mutant(
            what="a payload is written over one that was not taken",
            module="hdl.pipeline.queue",
            old="with m.If(~place.valid):",
            new="with m.If(~place.valid | source.valid):",
        ),
    ),
    "skid_buffer": (
        "SkidBuffer",
        lambda: StreamBench(SkidBuffer(4)),
        Mutant(
            what="it begins to give when somebody is ready",
            module="hdl.pipeline.queue",
            old="with m.If(self.read.ready | ~self.read.valid):",
            new="with m.If(self.read.ready):",
        ),
    ),
    "scheduler": (
        "Scheduler, with the ring",
        _ring_scheduler,
        Mutant(
            what="the next slot begins while a block waits for the core",
            module="hdl.pipeline.scheduler",
            old="with m.Elif(~self.blocks.valid):",
            new="with m.Else():",
        ),
    ),
}

#: Each profile, where its broken copy is refuted, and what is broken there. Of `fast`, that is
#: what gives its beats: runs of the whole would take long.
_WHOLE = (
    (
        TINY,
        lambda: _axi(SMALL),
        _FETCHED_EARLY,
    ),
    (COMPACT, lambda: _axi(SMALL_RING), _LOST),
    (FAST, lambda: StreamBench(Packer()), _LOST),
)


def blocks() -> list[StreamBench]:
    """A bench of each block that has a property of its own."""
    return [design() for _, design, _ in _BLOCKS.values()]


PROPERTIES = [
    Property(
        name=f"streams.{profile.name}",
        promise=f"At the AXI4-Stream ports of {profile.name}, TVALID and what it goes with hold "
        "until TREADY, and nothing that is given, nor when, depends on what TREADY is while TVALID "
        "is low.",
        design=lambda profile=profile: _axi(profile),
        method=StreamRules(),
        mutant=mutant,
        broken_design=broken,
    )
    for profile, broken, mutant in _WHOLE
] + [
    Property(
        name=f"streams.{name}",
        promise=f"Every stream that {what} gives holds valid and payload until ready, and nothing "
        "that it gives, nor when, depends on what ready is while valid is low.",
        design=design,
        method=StreamRules(),
        mutant=mutant,
    )
    for name, (what, design, mutant) in _BLOCKS.items()
]
