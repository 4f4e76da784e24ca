"""What the serial engine lets go: what a request has written, and no text that has not verified."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value

from driver.messages import (
    AEAD_PREFIX_BYTES,
    CONNECTION_ID_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    Counter,
    Opcode,
    Request,
    Status,
)
from hdl.profile import TINY, Profile
from hdl.slots import SlotStore
from proofs.property import Mutant, Property
from proofs.serial_device import CUT, SerialDevice
from proofs.smt import Driven, Induction, InductionAndRun

__all__ = ["PROPERTIES"]


class _Committed(Driven):
    """The serial engine up to its release buffer: what it writes, and what it commits.

    One address of a completion is watched, which may be any but never changes: whether the request
    has written there, and whether that was text that it has opened.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile

    def elaborate(self, platform):
        m = Module()
        device = SerialDevice(m, self._profile, self)
        buffer, gcm = device.buffer, device.gcm
        most = self._profile.largest_completion
        self.watched = watched = self.port("watched", 16)
        written, is_text = Signal(), Signal()
        before, begun = Signal(16), Signal()
        equal, verified = Signal(range(TAG_BYTES + 1)), Signal()
        opens = device.is_engine & ~device.sealing
        m.d.sync += [before.eq(watched), begun.eq(1)]
        m.d.comb += Assume(~begun | (watched == before))
        with m.If(buffer.write & (buffer.address == watched)):
            m.d.sync += [written.eq(1), is_text.eq(device.output.write.enable & opens)]
        # Bytes of the tag that came and were equal, and the verdict that follows from all of them.
        with m.If(gcm.start):
            m.d.sync += equal.eq(0)
        with m.Elif(gcm["compared"] & (device.ghash["sum"] == gcm["keystream"][:8])):
            m.d.sync += equal.eq(equal + 1)
        with m.If(device.in_state("engine", "verdict")):
            m.d.sync += verified.eq(opens & (equal == TAG_BYTES))
        with m.If(device.in_state("top", "idle")):
            m.d.sync += [written.eq(0), is_text.eq(0), verified.eq(0)]

        leaves = buffer.commit & (watched < buffer.length)
        m.d.comb += [
            Assert(~(buffer.write & (buffer.address >= most)), "written within the room"),
            Assert(~(buffer.commit & (buffer.length > most)), "committed within the room"),
            Assert(~buffer.write | (device.free >= most), "there is room"),
            Assert(~leaves | written, "what leaves was written for this request"),
            Assert(~leaves | ~is_text | verified, "opened text leaves only once its tag verified"),
            Assert(
                ~buffer.commit | ~opens | verified | (buffer.length == HEADER_BYTES),
                "a refusal is a header and nothing else",
            ),
        ]
        # What is taken for granted of a slot's context: `release.context` is the rest of it.
        loads, new = device.loader.write_context, device.loader.new_context
        few = new.connection_id_bytes <= CONNECTION_ID_BYTES
        m.d.comb += [
            Assert(~loads | device.in_state("engine", "idle"), "the slot of a message stays"),
            Assert(~loads | ~new.valid | few, "a connection ID has 20 bytes at the most"),
        ]
        if not self.promises_only:
            device.invariants()
            self._follow(m, device, watched, written, is_text, equal, verified)
        self.device = device
        return m

    async def drive(self, context):
        """A message of one byte with a wrong tag; the byte is watched."""
        context.set(self.watched, HEADER_BYTES)
        message = bytes(AEAD_PREFIX_BYTES + 1 + TAG_BYTES)
        request = Request(Opcode.AEAD_OPEN, 0, payload=message)
        await self.device.send(context, [request.pack()], cycles=2000)

    def _follow(self, m, device, watched, written, is_text, equal, verified):
        """Where the text stands, and what has been written when: invariants."""
        t, e, g, p = (device._of(name) for name in ("top", "engine", "gcm", "reports"))
        top, engine, gcm, reports = device.top, device.engine, device.gcm, device.reports
        status, position = top._status, reports["position"]
        behind = t("drain", "finish", "finishing", "complete", "count message", "count bytes")
        behind |= t("commit")
        place = watched - HEADER_BYTES
        opens = device.is_engine & ~device.sealing

        def first(count):
            """The watched byte is one of so many behind the header, and has been written."""
            return (watched < HEADER_BYTES) | (watched >= HEADER_BYTES + count) | written

        # All that is written of a text stands behind the header, and what stands before it.
        ahead = Mux(device.is_seal, device.header_bytes, Mux(device.is_open, 8, 0))
        in_text = (watched >= HEADER_BYTES + ahead) & (
            watched < HEADER_BYTES + ahead + device.output["written"]
        )
        running = e("header", "feed", "verdict", "record number", "patch")
        running |= device.is_seal & e("mask", "unmask") & engine._settled
        sealed = device.is_seal & running & ~e("header")
        m.d.comb += [
            Assert(~running | ~in_text | written),
            Assert(~sealed | first(device.header_bytes)),
            Assert(~(e("header") & device.is_seal) | first(engine._written)),
            Assert(~e("record number") | first(engine._written)),
            Assert(~is_text | (opens & (watched >= HEADER_BYTES))),
            Assert(~p("info") | first(position[:6])),
        ]
        # Of a report's bytes, those that came; STATS gives each counter's last byte first.
        size = 8 * len(Counter)
        came = (place >= size) | ((place ^ 7) >= position) | written
        m.d.comb += [
            Assert(~p("counter", "bytes") | (watched < HEADER_BYTES) | came),
        ]
        ends = (
            behind & top._started & (status == Status.OK)
            | (e("done") & (engine.unit.status == Status.OK))
            | p("done")
        )
        most = self._profile.largest_completion - HEADER_BYTES
        m.d.comb += [Assert(~ends | first(top._length)), Assert(~ends | (top._length <= most))]
        complete = t("count message", "count bytes", "commit") & (watched < HEADER_BYTES)
        m.d.comb += [
            Assert(~t("complete") | (watched >= top._position) | (written & ~is_text)),
            Assert(~complete | (written & ~is_text)),
        ]
        # The verdict, and what becomes of it.
        compared = gcm["position"] - gcm["compared"]
        tagged = Mux(g("Tag"), compared, Mux(g("Last"), 15, Mux(engine._settled, TAG_BYTES, 0)))
        counts = g("Tag", "Last") | (e("feed", "verdict") & engine._settled)
        undecided = e("prefix", "admit", "parse", "sample", "number", "nonce", "command")
        undecided |= e("header", "feed", "verdict") | (device.is_open & e("mask", "unmask"))
        fine = (engine.unit.status == Status.OK) | (engine.unit.status == Status.NO_CONTENT_TYPE)
        m.d.comb += [
            Assert(~counts | gcm["different"] | (equal == tagged)),
            Assert(~g("Associated data", "Text", "Lengths") | gcm["different"] | (equal == 0)),
            Assert(~(e("record number", "done") & opens & fine) | verified),
            Assert(~(behind & opens & (status == Status.OK)) | verified),
            Assert(~undecided | (engine.unit.status == Status.OK)),
        ]


class _Context(Elaboratable):
    """A slot store: while no context is written and the slot stays, so does what is read."""

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        m.submodules.slots = block = SlotStore(self._profile)
        self.ports += [block.slot, block.write_slot, block.write_context, block.write_string]
        self.ports.append(Value.cast(block.new_context))
        quiet, slot, now = Signal(2), Signal.like(block.slot), Value.cast(block.context)
        context = Signal(len(now))
        stays = (block.slot == slot) & ~block.write_context
        m.d.sync += [
            quiet.eq(Cat(stays, quiet)),
            slot.eq(block.slot),
            context.eq(now),
        ]
        m.d.comb += Assert(~quiet.all() | (now == context), "the context stays")
        return m


PROPERTIES = [
    Property(
        name="release.context",
        promise="What is read of a slot's context stays from the second cycle on in which the slot "
        "is asked for and no context is written.",
        design=lambda: _Context(TINY),
        method=Induction(depth=4, within=8, cut=("w:*string",)),
        mutant=Mutant(
            what="contexts are written along with the strings",
            module="hdl.slots",
            old="write.en.eq(self.write_context),",
            new="write.en.eq(self.write_string),",
        ),
    ),
    Property(
        name="release.serial",
        promise="The serial engine commits only bytes that the same request has written, a byte of "
        "text that it has opened only after all 16 bytes of the tag were found equal, and of a "
        "refusal to open the header and nothing else.",
        design=lambda: _Committed(TINY),
        method=InductionAndRun(cut=CUT),
        mutant=Mutant(
            what="a record whose tag is wrong is answered with its content",
            module="hdl.record_engine",
            old="with m.If(~self._sealing & ~self._gcm.genuine):",
            new="with m.If(self._is_seal & ~self._gcm.genuine):",
        ),
    ),
]
