"""The serial engine cannot be wedged: what is left to do sinks in every cycle.

Of each request, those cycles are counted in which the host is not waited for, and gives no byte. In
each of them one of these happens, and an invariant says how often it still can until the answer:

- ``room``: the release buffer gives a byte, while the request waits for its room;
- ``zeros``: a byte that the packet lacks is read as zero;
- ``hashing``: GHASH works on a byte;
- ``hashes``: GHASH takes a byte;
- ``blocks``: the AES core takes a block of keystream to make;
- ``encrypting``: it works on that; this is counted for each block anew;
- ``steps``: a state of control goes on towards the answer.
"""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal

from driver.messages import (
    HEADER_BYTES,
    LOAD_BYTES,
    RECORD_NUMBER_BYTES,
    Counter,
    Opcode,
    Request,
)
from hdl.aes.serial import SerialAES
from hdl.profile import TINY, Profile
from hdl.slots import STAGED_BYTES
from proofs.property import Mutant, Property
from proofs.serial_device import CUT, SerialDevice
from proofs.smt import Driven, InductionAndRun

__all__ = ["PROPERTIES", "most"]

#: A block, from the cycle in which the AES core is asked for it, with a key of 256 bits.
_BLOCK = SerialAES.latency(aes256=True) + 1
#: Until a counter can be added to: all may have to be cleared, another one be under way.
_COUNT = 256 + 8
#: From the wiping of a slot for LOAD to its end: strings, round keys, H, first number, and the
#: wiping of what LOAD has brought.
_FORGET = 129
_NUMBER = _FORGET + 2
_HASH = _NUMBER + 14 + _BLOCK + 2
_COPY = _HASH + 1 + 2 * 2 * 15 * 16
_WIPE = _COPY + 2 * 32
#: From "complete" to the end: the header, and two counters.
_COMPLETE = 2 * _COUNT + 4 + HEADER_BYTES
#: Behind a message's last byte: its number is masked and patched, or written.
_VERDICT = 5 + _BLOCK + 2
#: What GHASH takes of a message beside the payload: a header, what fills two blocks, lengths, tag.
_BESIDE = 25 + 2 * 15 + 2 * 16
#: The states of GCM, the last one first.
_GCM = ("Idle", "Last", "Tag", "Lengths", "Text", "Associated data")


def most(profile: Profile, length) -> dict:
    """How often each may happen in a request whose header says ``length``."""
    return {
        "room": 2 * profile.release_bytes + 2,
        "zeros": length + HEADER_BYTES,
        "hashing": 8 // profile.ghash_digit * (length + _BESIDE),
        "hashes": length + _BESIDE,
        "blocks": (length >> 4) + 2,
        "encrypting": _BLOCK - 1,
        "steps": _to_look_up(profile),
    }


def _loading(profile: Profile) -> int:
    """LOAD, or ZEROIZE of all slots."""
    return _WIPE + 32 * profile.slots + 2


def _to_command(profile: Profile) -> int:
    return _VERDICT + 1 + len(_GCM) + profile.window + 1


def _to_sample(profile: Profile) -> int:
    return _to_command(profile) + 1 + 26 + 1 + _BLOCK + 3


def _to_admit(profile: Profile) -> int:
    return _to_sample(profile) + 33


def _to_work(profile: Profile) -> int:
    """From the start of a unit: the slowest message, or STATS."""
    longest = max(_to_admit(profile) + 2, 32 * len(Counter) + _COUNT + 1)
    return _COMPLETE + _loading(profile) + 4 + longest


def _to_look_up(profile: Profile) -> int:
    return _to_work(profile) + 3


class _Progress(Driven):
    """The serial engine with any packets, and a host that takes and gives bytes when it likes.

    What is proved is how often those happen that are in ``names``. What `release.serial` proves of
    the control is known here.
    """

    def __init__(self, profile: Profile, names):
        super().__init__()
        self._profile, self._names = profile, names

    def elaborate(self, platform):
        m = Module()
        self.device = device = SerialDevice(m, self._profile, self)
        profile, reader = self._profile, device.reader
        checks, knows = device.in_state("top", "check"), ~device.in_state("top", "idle")
        limits = most(profile, Mux(knows, device.request.length, 0))
        answers = reader.end.valid & reader.end.ready
        given = device.valid & device.ready
        waits = (device.ready & ~device.valid) | device.stalled

        # While no completion is committed, the buffer empties: `proofs.release_buffer`.
        has_room = device.room & (device.free >= profile.largest_completion)
        waiting = Signal(range(limits["room"]), init=limits["room"] - 1)
        m.d.sync += waiting.eq(Mux(checks, waiting - ~device.stalled, limits["room"] - 1))
        m.d.comb += Assume(~checks | (waiting != 0) | has_room)

        # The first that happens is counted, or else the last.
        happens = {
            "room": checks & ~has_room,
            "zeros": reader["wanted"] & device.ended,
            **self._of_gcm(),
            "steps": 1,
        }
        counts = {name: Signal(24, name=f"count_{name}") for name in limits}
        goes_on = ~given & ~waits
        for name, happened in happens.items():
            begins = answers | (happens["blocks"] if name == "encrypting" else 0)
            with m.If(begins):
                m.d.sync += counts[name].eq(0)
            with m.Elif(goes_on & happened):
                m.d.sync += counts[name].eq(counts[name] + 1)
            goes_on &= ~happened
            if name in self._names:
                m.d.comb += Assert(counts[name] <= limits[name], f"an answer in time: {name}")
        if not self.promises_only:
            device.invariants(known=True)
            self._follow(m, counts, limits, waiting, answers)
        return m

    def _of_gcm(self):
        """What happens in GCM, while it runs."""
        device, gcm = self.device, self.device.gcm
        a, busy = device._of("aes"), device.ghash["busy"]
        runs = ~device.in_state("gcm", "Idle")
        encrypts = a("read", "add", "substitute") | (a("done") & gcm.aes_results.ready)
        return {
            "hashing": runs & busy,
            "hashes": runs & gcm["moves"],
            "blocks": runs & gcm["requesting"] & a("idle"),
            "encrypting": runs & encrypts,
        }

    async def drive(self, context):
        """A message whose packet ends before its text, and nothing behind it."""
        request = Request(Opcode.AEAD_OPEN, 0, payload=bytes(100)).pack()
        await self.device.send(context, [request[:60]], cycles=_to_look_up(self._profile) + 3000)

    def _follow(self, m, counts, limits, waiting, answers):
        """How often each can happen still: together never more than the limit."""
        device, profile = self.device, self._profile
        always, r, t = device.always, device._of("reader"), device._of("top")
        left, position, top = device.remaining, device.reader["position"], device.top
        counting = self._counting(m)
        measure = self._choose(
            m,
            "measure",
            (t("commit"), 1),
            (t("count bytes"), 2 + counting),
            (t("count message"), 2 + _COUNT + 1 + counting),
            (t("complete"), 2 * _COUNT + 4 + HEADER_BYTES - top._position),
            (t("finishing"), _COMPLETE + 1 + self._loader(m)),
            (t("finish"), _COMPLETE + _loading(profile) + 2),
            (t("drain"), _COMPLETE + _loading(profile) + 3),
            (t("work"), _COMPLETE + _loading(profile) + 3 + self._unit(m, counting)),
            (t("check"), _to_work(profile) + 1),
            (t("look up"), _to_work(profile) + 2),
            (t("wipe"), 1 + self._loader(m)),
            (t("reset"), 2 + _loading(profile)),
        )
        if "steps" in self._names:
            always(t("idle") | (counts["steps"] + measure <= limits["steps"]))
            always(~t("idle", "look up") | (counts["steps"] <= 1))
            always(~r("HEADER", "REQUEST") | (counts["steps"] == 0))
        if "zeros" in self._names:
            always(~r("HEADER") | (counts["zeros"] <= position))
            always(~r("REQUEST") | (counts["zeros"] <= HEADER_BYTES))
            always(t("idle") | (counts["zeros"] + left <= limits["zeros"]))
        if "room" in self._names:
            always(~t("idle", "look up") | (counts["room"] == 0))
            always(~t("look up") | (waiting == limits["room"] - 1))
            always(~t("check") | (counts["room"] + waiting <= limits["room"] - 1))
        self._follow_gcm(m, counts, limits, answers)

    def _follow_gcm(self, m, counts, limits, answers):
        """GHASH's bytes and the AES core's blocks: those done, and those still to come."""
        device, gcm, ghash = self.device, self.device.gcm, self.device.ghash
        e, g, always = device._of("engine"), device._of("gcm"), device.always
        left, position, runs = gcm["bytes_left"], gcm["position"], ~g("Idle")
        interval = 8 // self._profile.ghash_digit
        begun = Signal()
        with m.If(gcm.start):
            m.d.sync += begun.eq(1)
        with m.Elif(answers):
            m.d.sync += begun.eq(0)

        def whole(count):
            return (count + 15) >> 4 << 4

        section, text = whole(left + position) - position, whole(device.text_bytes)
        hashes = self._choose(
            m,
            "hashes",
            (g("Associated data"), section + text + 32),
            (g("Text"), section + 32),
            (g("Lengths"), 32 - position),
            (g("Tag"), 16 - position),
        )
        works = Mux(ghash["busy"], interval - ghash["step"], 0)
        hashing = Mux(runs, interval * hashes + works, 0)
        encrypting = Mux(runs, self._encrypting(m), 0)
        blocks = Mux(runs, device.requests_left(), 0)
        length = device.request.length
        associated = gcm.command.associated_data_bytes
        always(~e("command") | (whole(associated) + text + 32 <= length + _BESIDE))
        always(~e("command") | (gcm["blocks"] <= (length >> 4) + 1))
        always(~runs | begun)
        before = e("prefix", "admit", "parse", "sample", "number", "nonce", "command")
        before |= device.is_open & e("mask", "unmask")
        always(~begun | ~(before | device.in_state("top", "idle", "look up", "check")))
        for name, value in (
            ("hashing", hashing),
            ("hashes", hashes),
            ("blocks", blocks),
            ("encrypting", encrypting),
        ):
            if name in self._names:
                always(begun | (counts[name] == 0))
                always(counts[name] + value <= limits[name])

    def _choose(self, m, name, *cases):
        """The value of the first case that is so, or 0."""
        chosen = Signal(24, name=name)
        for condition, value in reversed(cases):
            with m.If(condition):
                m.d.comb += chosen.eq(value)
        return chosen

    def _counting(self, m):
        """Cycles until a counter can be added to."""
        counters = self.device.counters
        clearing, byte = counters["clearing"], counters["byte"]
        cleared = Cat(counters["places"], counters["index"])
        self.device.always(~clearing | (byte == 0))
        self.device.always(~clearing | (cleared < 256))
        return self._choose(m, "counting", (clearing, 256 - cleared + 8), (byte != 0, 8 - byte))

    def _encrypting(self, m):
        """Cycles until the block in the AES core has been taken."""
        aes = self.device.aes
        a = self.device._of("aes")
        add = 19 * (Mux(aes["aes256"], 14, 10) - aes["number"]) + 2
        return self._choose(
            m,
            "encrypting",
            (a("read"), add + 1),
            (a("add"), add),
            (a("substitute"), add + 18 - aes["step"]),
            (a("done"), 1),
        )

    def _unit(self, m, counting):
        """The unit of the request; all of them add a cycle for the end."""
        device, reports = self.device, self.device.reports
        u, p = device._of("loader"), device._of("reports")
        position = reports["position"]
        counters = len(Counter) - position[3:]
        return self._choose(
            m,
            "unit",
            (device.is_engine, self._engine(m)),
            (u("collect"), 2),
            (u("collected"), 1),
            (p("info"), 34 - position),
            (p("counter"), 32 * counters + counting + 1),
            (p("bytes"), 32 * (counters - 1) + 17 + 7 - position[:3]),
            (p("done"), 1),
        )

    def _engine(self, m):
        device, engine, profile = self.device, self.device.engine, self._profile
        e, encrypting = device._of("engine"), self._encrypting(m)
        at, _ = device._walk(device.parser.within("walk"), device.parser_flags)
        window = Mux(device.window.busy, profile.window - device.window["step"], 0)
        command, sample = _to_command(profile), _to_sample(profile)
        iv = 2 * (12 - engine._iv_index) + engine._iv_byte
        number = command + 1 + 26
        written, g = engine._written, device._of("gcm")
        state = self._choose(m, "gcm_state", *((g(name), i) for i, name in enumerate(_GCM)))
        return self._choose(
            m,
            "engine_left",
            (e("done"), 1),
            (e("patch"), 4 - written),
            (e("record number"), 2 + RECORD_NUMBER_BYTES - written),
            (e("unmask") & device.is_seal, 5 + encrypting),
            (e("mask") & device.is_seal, 5 + _BLOCK + 1),
            (e("verdict"), _VERDICT),
            (e("feed", "header"), _VERDICT + 1 + state + window),
            (e("command"), command),
            (e("nonce"), command + 1 + iv),
            (e("number"), number),
            (e("unmask"), number + 1 + encrypting),
            (e("mask"), number + 1 + _BLOCK + 1),
            (e("sample"), sample),
            (e("parse"), sample + 1 + Mux(device.parser.done, 0, 31 - at)),
            (e("admit"), _to_admit(profile)),
            (e("prefix"), _to_admit(profile) + 1),
        )

    def _loader(self, m):
        """What LOAD and ZEROIZE do once their packet has been read."""
        loader, u = self.device.loader, self.device._of("loader")
        at, second, which = loader._at, loader._second, loader._which
        byte, round_, slot = loader._byte, loader._round, loader._slot
        last, encrypting = loader["last_slot"], self._encrypting(m)
        rounds = Mux(loader._aes256, 14, 10)
        expands = Mux(which, 0, 16 * (rounds + 1)) + 16 * (rounds - round_) + 16 - byte
        always = self.device.always
        number = STAGED_BYTES - LOAD_BYTES + 6  # where the sequence number stands
        always(~u("wipe") | (slot <= last))
        always(~u("expand") | (round_ <= rounds))
        always(u("expand") | ((round_ == 0) & (byte == 0)))
        always(u("copy", "expand", "number") | ~second)
        always(~u("idle", "collect", "collected", "wipe", "copy") | ~which)
        always(~u("number") | ((at >= number) & (at < number + 6)))
        return self._choose(
            m,
            "loader_left",
            (u("forget"), 128 - at),
            (u("valid"), _FORGET),
            (u("number"), _NUMBER + 2 * (number + 6 - at) - second),
            (u("entered"), _NUMBER + 13),
            (u("enter"), _NUMBER + 13 + encrypting),
            (u("hash"), _HASH),
            (u("expand"), _HASH + 1 + 2 * expands - second),
            (u("copy"), _COPY + 1 + 2 * (32 - at[:5]) - second),
            (u("wipe"), _WIPE + 32 * (last - slot) + 33 - at[:5]),
        )


def _cycles(length: int) -> int:
    """The cycles of all that is counted, in profile `tiny`."""
    counts = most(TINY, length)
    counts["encrypting"] *= counts["blocks"]
    return sum(counts.values())


PROPERTIES = [
    Property(
        name="progress.serial.control",
        promise="After any input, from every state it can reach, the serial engine answers a "
        "packet and takes the next one within a bound linear in the length that the packet's "
        f"header says, in tiny {_cycles(0):,} cycles of its own for 0 bytes and {_cycles(1024):,} "
        "for 1,024: here the share of control, of lacking bytes, and of the wait for room.",
        design=lambda: _Progress(TINY, ("room", "zeros", "steps")),
        method=InductionAndRun(cut=CUT),
        mutant=Mutant(
            what="what a packet lacks of its payload is waited for",
            module="hdl.request_reader",
            old="available.eq(self.packets.valid | ended)",
            new="available.eq(self.packets.valid)",
        ),
    ),
    Property(
        name="progress.serial.gcm",
        promise="The same: the share of GHASH, so many cycles a byte, and of AES, "
        f"{_BLOCK} cycles a block.",
        design=lambda: _Progress(TINY, ("hashing", "hashes", "blocks", "encrypting")),
        method=InductionAndRun(cut=CUT),
        mutant=Mutant(
            what="GHASH looks for a step behind its last one",
            module="hdl.ghash",
            old="last_step.eq(busy & (step == self.interval - 1))",
            new="last_step.eq(busy & (step == self.interval))",
        ),
    ),
]
