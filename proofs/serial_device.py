"""The serial engine with what comes of data free, and what always holds of its control.

Nothing of the control follows from the data but verdicts, so all of these may be anything in each
cycle: what AES and GHASH give, what is read of keys, H, IV, connection ID and a slot's state, and
all bytes of packets. A slot's context may be anything too, but stays while a request is under way:
only LOAD and ZEROIZE write it. Its connection ID has at most 20 bytes; LOAD refuses others.
"""

from collections.abc import Sequence

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from driver.messages import (
    AEAD_PREFIX_BYTES,
    CONNECTION_ID_BYTES,
    INFO_BYTES,
    LOAD_BYTES,
    TAG_BYTES,
    Counter,
    Opcode,
    Status,
    Usage,
)
from hdl.header import Flags
from hdl.message_output import SAMPLE_BYTES
from hdl.profile import Profile
from hdl.serial_accelerator import SerialAccelerator
from hdl.slots import STAGED_BYTES, context_layout
from proofs.opened import Opened, Replaced
from proofs.smt import Driven

__all__ = ["CUT", "SerialDevice"]

#: What the AES core, GHASH and GCM's keystream give, cut from what makes it.
CUT = ("w:*ghash.sum", "w:*gcm.keystream")


class SerialDevice:
    """`SerialAccelerator` as submodule ``device`` of ``m``, with its parts opened by their names.

    The release buffer is what `proofs.release_buffer` proves it to be: ``free`` shrinks by what is
    committed only, and so does the room for lengths.
    """

    def __init__(self, m: Module, profile: Profile, design: Driven):
        self.profile, self._m, self._known = profile, m, False
        device = SerialAccelerator(profile)
        engine, buffer = device._engine, device._buffer
        slots = device._slots
        context = data.View(context_layout(), Signal(context_layout().size, name="context"))
        self.free, self.room = design.port("free", len(buffer.free)), design.port("room")
        self.stalled = design.port("stalled")
        given = {
            name: design.port(f"given_{name}", len(Value.cast(getattr(slots, name))))
            for name in ("context", "state", "h", "string", "round_key")
        }
        self.valid, self.byte = design.port("valid"), design.port("byte", 8)
        self.last, self.ready = design.port("last"), device.requests.ready
        self.given_context = given["context"]
        device._slots = Replaced(slots, **{**given, "context": context.as_value()})
        device._buffer = self.buffer = Replaced(
            buffer, free=self.free, ready=self.room, stalled=self.stalled
        )
        engine._gcm = self.gcm = Opened(engine._gcm)
        engine._parser = self.parser = Opened(engine._parser)
        engine._builder = self.builder = Opened(engine._builder)
        engine._output = self.output = Opened(engine._output)
        engine._window = self.window = Opened(engine._window)
        device._engine = self.engine = Opened(engine)
        device._loader = self.loader = Opened(device._loader)
        device._reports = self.reports = Opened(device._reports)
        device._reader = self.reader = Opened(device._reader)
        device._aes = self.aes = Opened(device._aes)
        device._counters = self.counters = Opened(device._counters)
        self.top = Opened(device)
        self.request, self.context = device._request, context
        m.submodules.device = self.top
        m.d.comb += [
            device.requests.valid.eq(self.valid),
            device.requests.payload.data.eq(self.byte),
            device.requests.payload.last.eq(self.last),
        ]
        with m.If(self.top.ongoing("idle")):
            m.d.sync += context.eq(given["context"])
            with m.If(data.View(context_layout(), given["context"]).connection_id_bytes > 20):
                m.d.sync += context.connection_id_bytes.eq(CONNECTION_ID_BYTES)
        self._keep_room(m)

        self.remaining, self.ended = self.reader["remaining"], self.reader["ended"]
        self.ghash = self.gcm.within("ghash")
        self.parser_flags = data.View(Flags, self.parser.flags)
        self.is_engine = self.request.opcode.matches(
            Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN
        )
        self.is_loader = self.request.opcode.matches(Opcode.LOAD, Opcode.ZEROIZE)
        self.is_seal, self.is_open = engine._is_seal, engine._is_open
        self.is_record, self.sealing = engine._is_record, engine._sealing
        self.header_bytes, self.text_bytes = engine._header_bytes, engine._text_bytes

    def _keep_room(self, m):
        free, room, buffer = Signal.like(self.free), Signal(), self.buffer
        m.d.sync += [free.eq(self.free), room.eq(self.room)]
        committed, length = Signal(), Signal(16)
        m.d.sync += [committed.eq(buffer.commit), length.eq(buffer.length)]
        m.d.comb += [
            Assume(committed | (self.free >= free)),
            Assume(committed | self.room | ~room),
        ]

    def always(self, value: Value) -> None:
        """An invariant, which a failure names by the line that calls."""
        self._m.d.comb += (Assume if self._known else Assert)(value, src_loc_at=1)

    async def send(self, context, packets: Sequence[bytes], cycles: int) -> None:
        """In a run, send packets to a slot with an AEAD key, and wait."""
        slot = context_layout().const({"valid": 1, "usage": Usage.AEAD})
        context.set(self.given_context, slot.as_bits())
        context.set(self.free, self.profile.release_bytes)
        context.set(self.room, 1)
        context.set(self.valid, 1)
        for packet in packets:
            for left, byte in zip(range(len(packet) - 1, -1, -1), packet, strict=True):
                context.set(self.byte, byte)
                context.set(self.last, left == 0)
                taken = False
                while not taken:
                    _, _, taken = await context.tick().sample(self.ready)
        context.set(self.valid, 0)
        for _ in range(cycles):
            await context.tick()

    def in_state(self, block: str, *states: str) -> Value:
        """Whether a part is in one of these states."""
        return Cat(getattr(self, block).ongoing(state) for state in states).any()

    def invariants(self, known: bool = False) -> None:
        """All that always holds: asserted, or assumed where another property has proved it."""
        self._known = known
        for block in ("top", "reader", "engine", "gcm", "aes", "loader", "reports"):
            self.always(getattr(self, block).any_state())
        self._of_sequence()
        self._of_units()
        self._of_reading()
        self._of_parsing()
        self._of_feeding()
        self._of_keystream()
        self._of_output()
        self._known = False

    def _of_sequence(self):
        """The accelerator's own states, and those of the reader."""
        top, reader, profile = self.top, self.reader, self.profile
        t, r = self._of("top"), self._of("reader")
        started, status = top._started, top._status
        ok = self.top._refusal(self._m) == Status.OK
        at_end = t("reset", "wipe", "finish", "finishing", "complete")
        at_end |= t("count message", "count bytes", "commit")
        behind = t("drain", "finish", "finishing", "complete", "count message", "count bytes")
        behind |= t("commit")
        self.always(t("idle") == r("HEADER", "REQUEST"))
        self.always(~at_end | (r("SURPLUS") & self.ended))
        self.always(~t("look up", "check") | (self.remaining == self.request.length))
        self.always(r("PAYLOAD") == (self.remaining != 0))
        self.always(t("complete") | (top._position == 0))
        self.always(r("HEADER") | (reader["position"] == 0))
        self.always(~t("work") | started)
        self.always(~t("look up", "check", "reset", "wipe") | ~started)
        self.always(~(started & ~t("idle")) | ok)
        self.always(~t("check") | (ok == (status == Status.OK)))
        self.always(~behind | started | (status != Status.OK))
        self.always(~(t("work") | behind) | ((self.free >= profile.largest_completion) & self.room))
        self.always(~t("reset", "wipe") | (self.request.opcode == Opcode.ZEROIZE))

    def _of_units(self):
        """Which unit is at work."""
        t, e, u, p = (self._of(name) for name in ("top", "engine", "loader", "reports"))
        loads = u("copy", "expand", "hash", "enter", "entered", "number", "valid")
        works = t("work") & ~self.is_engine & ~self.is_loader
        self.always(~e("idle") == (t("work") & self.is_engine))
        self.always(u("collect", "collected") == (t("work") & self.is_loader))
        self.always((loads | u("wipe", "forget")) == t("wipe", "finishing"))
        self.always(~p("idle") == works)
        self.always(~t("finishing") | self.is_loader)
        self.always(~loads | (self.request.opcode == Opcode.LOAD))
        loader, reading = (
            self.loader,
            u("collect") & (self.loader._at <= STAGED_BYTES - LOAD_BYTES + 3),
        )
        fine = loader._connection_id_bytes <= CONNECTION_ID_BYTES
        self.always(reading | ~loader._fields_valid | fine)
        self.always(~loads | loader._fields_valid)
        is_load = self.request.opcode == Opcode.LOAD
        self.always(~(u("wipe") & is_load) | loader._fields_valid)
        asks_info, position = self.request.opcode == Opcode.INFO, self.reports["position"]
        size = 8 * len(Counter)
        self.always(~p("info") | (asks_info & (position < INFO_BYTES)))
        self.always(~p("counter", "bytes") | (~asks_info & (position < size)))
        self.always(~p("counter") | (position[:3] == 0))
        self.always(~p("bytes") | ~self.counters["clearing"])
        self.always(
            ~u("collect")
            | (
                (self.request.opcode == Opcode.LOAD)
                & (self.remaining == 128 - self.loader._at)
                & (self.loader._at >= 128 - LOAD_BYTES)
            )
        )

    def _of_reading(self):
        """What the engine has taken of the payload before GCM begins."""
        e, length, left = self._of("engine"), self.request.length, self.remaining
        engine, header = self.engine, self.header_bytes
        sampled, record = engine._sampled, self.is_record
        begun = e("nonce", "command", "header", "feed", "verdict")
        parsed = self.is_open & (begun | e("sample", "mask", "unmask", "number", "record number"))
        ready = e("number", "nonce", "command") | (self.is_open & e("mask", "unmask"))
        longest = self.profile.largest_seal + TAG_BYTES
        taken = Mux(record, sampled, AEAD_PREFIX_BYTES)
        self.always(sampled <= SAMPLE_BYTES)
        self.always(~e("prefix") | (~record & (sampled < 16) & (left + sampled == length)))
        self.always(~e("parse") | (sampled == 0))
        self.always(~e("admit") | ((sampled == 0) & (left + taken == length)))
        self.always(~e("parse", "sample", "record number") | self.is_open)
        self.always(~e("mask", "unmask", "number", "header") | record)
        self.always(~e("patch") | self.is_seal)
        self.always(~e("sample") | ((sampled < 16) & (left + header + sampled == length)))
        self.always(~parsed | ((header + 17 <= length) & (length <= header + longest)))
        self.always(~ready | (sampled == Mux(self.is_open, SAMPLE_BYTES, 0)))
        self.always(~ready | (left + Mux(self.is_open, header, 0) + taken == length))
        self.always(~(begun & ~record) | ~engine._too_short)
        self.always(engine._iv_index <= 12)
        self.always(self.context.connection_id_bytes <= CONNECTION_ID_BYTES)

    def _walk(self, walk, flags):
        """How many bytes of a header come before the next one."""
        field, index = walk["field"], walk["index"]
        number = 1 + Mux(flags.connection_id, self.context.connection_id_bytes, 0)
        end = number + 1 + flags.sequence_number_16
        at = Mux(field == 0, 0, Mux(field == 1, 1 + index, Mux(field == 2, number, end - 1)))
        return Mux(field >= 4, end + (field == 5), at), end + (flags.length << 1)

    def _of_walk(self, walk, flags, walks):
        field, cid = walk["field"], self.context.connection_id_bytes
        self.always(~walks | (field <= 5))
        self.always(~walks | (field != 0) | (walk["index"] == 0))
        self.always(~walks | (field != 1) | (flags.connection_id & (walk["index"] < cid)))
        self.always(~walks | (field != 2) | flags.sequence_number_16)
        self.always(~walks | (field < 4) | flags.length)

    def _of_parsing(self):
        """The header of a record to open."""
        parser, parses = self.parser, self._of("engine")("parse")
        walk, rest, flags = parser.within("walk"), parser["rest"], self.parser_flags
        at, end = self._walk(walk, flags)
        parsing, known = parses & parser.parsing, parser.done | (walk["field"] != 0)
        right = flags.connection_id == (self.context.connection_id_bytes != 0)
        self.always(~parser.parsing | parses)
        self.always(~parses | (parser.parsing ^ parser.done))
        self.always(~parses | (rest == self.remaining))
        self.always(~parses | (parser.size + rest == self.request.length))
        self.always(~parsing | (rest == 0) | (parser.size == at))
        self.always(~(parses & parser.done) | (rest == 0) | (parser.size == end))
        self.always(~(parses & known) | right | parser["mismatch"])
        self._of_walk(walk, flags, parsing)
        taken = self.is_record & self._of("engine")(
            *("sample", "mask", "unmask", "number", "nonce", "command", "header", "feed"),
            *("verdict", "patch"),
        )
        flags = self.engine._flags
        self.always(~taken | (flags.connection_id == (self.context.connection_id_bytes != 0)))

    def wanted(self):
        """Bytes that GCM still takes from the payload or the sample."""
        g, left = self._of("gcm"), self.gcm["bytes_left"]
        tag = Mux(self.sealing, 0, TAG_BYTES)
        of_tag = Mux(self.sealing, 0, TAG_BYTES - self.gcm["position"])
        return Mux(
            g("Associated data"),
            Mux(self.is_record, 0, left) + self.text_bytes + tag,
            Mux(g("Text"), left + tag, Mux(g("Lengths"), tag, Mux(g("Tag"), of_tag, 0))),
        )

    def _of_feeding(self):
        """GCM gets what it asks for."""
        e, g, engine = self._of("engine"), self._of("gcm"), self.engine
        left, written, header = self.gcm["bytes_left"], engine._written, self.header_bytes
        walk = self.builder.within("walk")
        at, end = self._walk(walk, engine._flags)
        builds = self.builder["building"]
        settled = engine._settled
        self.always(~g("Idle") == (e("header") | (e("feed") & ~settled)))
        self.always(~e("header") | ~settled)
        self.always(~e("feed", "header") | (self.remaining + engine._sampled == self.wanted()))
        self.always(builds == e("header"))
        self.always(~e("header") | (g("Associated data") & (left + written == header)))
        self.always(~e("header") | ((at == written) & (end == header)))
        self.always(~(e("feed") & self.is_record & g("Associated data")) | (left == 0))
        self.always(~g("Text") | (left <= self.text_bytes))
        self.always(~g("Last") | self.gcm["compared"])
        self.always(~self.gcm["compared"] | g("Tag", "Last"))
        self.always(~self.window.busy | e("command", "header", "feed"))
        self.always(self.window["step"] < self.profile.window)
        self.always(~e("verdict") | (written == 0))
        self.always(~e("patch") | (written <= engine._flags.sequence_number_16))
        self.always(~(e("mask", "unmask") & self.is_seal) | ((written == 0) & settled))
        self.always(~e("record number") | (written < 8))
        self.always(~e("verdict", "patch", "record number") | settled)
        self._of_walk(walk, engine._flags, e("header"))

    def _of_keystream(self):
        """Each block of keystream that GCM needs is asked for, on its way, or there."""
        e, g, a, u = (self._of(name) for name in ("engine", "gcm", "aes", "loader"))
        gcm, aes = self.gcm, self.aes
        blocks, counter, asks = gcm["blocks"], gcm["counter"], gcm["requesting"]
        here, position, runs = gcm["keystream_valid"], gcm["position"], ~g("Idle")
        in_text = (gcm["bytes_left"] + position + 15) >> 4
        needed = 1 + Mux(g("Associated data"), blocks, Mux(g("Text"), in_text, 0))
        self.always(~runs | (self.requests_left() + ~a("idle") + here == needed))
        self.always(runs | ~(asks | here))
        self.always(~asks | ((counter >= 2) & (counter <= blocks + 2)))
        self.always(~(g("Text", "Tag") & (position != 0)) | here)
        self.always(~g("Last") | here)
        self.always(~e("unmask") | ~a("idle"))
        self.always(u("enter", "entered") == (~a("idle") & ~runs & ~e("unmask")))
        self.always(~u("entered") | a("done"))
        rounds = Mux(aes["aes256"], 14, 10)
        number, step = aes["number"], aes["step"]
        self.always(~a("read") | (number == 0))
        self.always(~a("add") | (number <= rounds))
        self.always(~a("substitute") | ((number >= 1) & (number <= rounds) & (step <= 17)))

    def requests_left(self):
        """Blocks of keystream that GCM has not asked for yet."""
        gcm = self.gcm
        return Mux(gcm["requesting"], gcm["blocks"] + 3 - gcm["counter"], 0)[:16]

    def _of_output(self):
        """How much of the text has been written."""
        e, g, gcm = self._of("engine"), self._of("gcm"), self.gcm
        text, written, done = self.text_bytes, self.output["written"], self.engine._settled
        tag = gcm["position"] - gcm["compared"]
        tail = Mux(self.sealing, TAG_BYTES, 0)
        ends = e("verdict", "record number", "patch") | (e("feed", "mask", "unmask") & done)
        late = ends & ~(e("mask", "unmask") & self.is_open)
        self.always(~g("Associated data") | (written == 0))
        self.always(~g("Text") | (written + gcm["bytes_left"] == text))
        self.always(~g("Lengths") | (written == text))
        self.always(~g("Tag") | (written == text + Mux(self.sealing, tag, 0)))
        self.always(~g("Last") | (written == text + Mux(self.sealing, 15, 0)))
        self.always(~late | (written == text + tail))
        self.always(self.output.content_bytes <= written)

    def _of(self, block):
        return lambda *states: self.in_state(block, *states)
