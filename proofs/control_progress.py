"""LOAD, ZEROIZE, INFO and STATS end in the pipelined engine, and so does the wipe behind reset."""

from unittest.mock import patch

from amaranth.hdl import Assert, Const, Module, Mux, Signal

from driver.messages import INFO_BYTES, Counter, Load, Opcode, Suite, Usage
from hdl.block import BLOCK_BYTES
from hdl.pipeline import control
from hdl.pipeline.control import Control
from hdl.profile import COMPACT, FAST, Profile
from hdl.slots import WORDS_PER_SLOT
from proofs.hash_units import hash_unit
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Driven, InductionAndRun

__all__ = ["PROPERTIES", "most"]

#: Of the key schedule: a round key, and the first one, before which it clears what was there.
_ROUND, _FIRST_ROUND = 13, 14
#: Until what LOAD brought is forgotten: zeros move through its place.
_FORGET = 9
_REPORT_BLOCK = 16


def most(profile: Profile) -> dict[str, int]:
    """Cycles of each request, beside those in which it waits for the cores.

    Those are: that the AES core takes a block and gives its result, once, for LOAD; that the hash
    unit takes a block and gives its digest, for LOAD and ZEROIZE: one for each chain of it, and,
    if it has several, one more for each power of H but the first.
    """
    unit = hash_unit(profile)
    ends = _FORGET + 1 + 2 * unit.chains + 1 + 1
    keys = 2 * (_FIRST_ROUND + 14 * _ROUND)
    powers = 4 * (unit.powers - 1) + (unit.chains > 1)
    wipe = WORDS_PER_SLOT * profile.slots + ends
    return {
        "LOAD": 2 + WORDS_PER_SLOT + keys + 2 + 2 + powers + ends,
        "ZEROIZE": wipe,
        "INFO": INFO_BYTES // BLOCK_BYTES * _REPORT_BLOCK + 1,
        "STATS": 8 * len(Counter) // BLOCK_BYTES * _REPORT_BLOCK + 1,
        "reset": 10 + wipe,
    }


class _Ends(Driven):
    """`Control` with any requests, payloads and results, and cores that answer when they like.

    Of `Scheduler` is known that it asks for one of the four opcodes, which stands there a cycle
    before, and only behind the end of the request before, or of the wipe behind reset (`Lookup`
    lets nothing in before). The hash unit gives a digest for each block that it has taken. What was
    staged is not wiped while a LOAD or a ZEROIZE is carried out: nothing is let in then that could
    be.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile
        self._unit = hash_unit(profile)

    def elaborate(self, platform):
        m = Module()
        self._block = block = Control(self._profile, self._unit)
        schedules = []

        def schedule(*arguments):
            schedules.append(Opened(KeySchedule(*arguments)))
            return schedules[-1]

        KeySchedule = control.KeySchedule
        with patch.object(control, "KeySchedule", schedule):
            m.submodules.control = self._opened = opened = Opened(block)
        (self._schedule,) = schedules
        self._drive_ports(m)
        idle = opened.ongoing("idle")
        under_way = self._cores(m, idle)

        limits = most(self._profile)
        limit, spent, asked = Signal(16), Signal(16), Signal()
        m.d.comb += limit.eq(limits["reset"])
        for name, flag in self._requests():
            with m.If(flag):
                m.d.comb += limit.eq(limits[name])
        ended = Signal()
        m.d.sync += [
            spent.eq(Mux(idle, 0, spent + ~self._waits(under_way))),
            ended.eq(~idle),
            asked.eq(block.start | (asked & ~block.done)),
        ]
        ends = idle & ended
        m.d.comb += [
            Assert(idle | (spent <= limit), "it ends in time"),
            Assert(~self._was_idle | block.ready, "it is ready"),
            Assert(~asked | ~idle | block.done, "it says that it is done"),
            Assert(~block.done | (asked & ends), "only then"),
        ]
        if not self.promises_only:
            self._follow(m, spent, limit, asked, under_way)
        return m

    def _requests(self):
        names = {"LOAD": "loads", "ZEROIZE": "zeroizes", "INFO": "informs", "STATS": "counts"}
        return [(name, self._opened[signal]) for name, signal in names.items()]

    def _drive_ports(self, m):
        block = self._block
        self.asks, self.answers, wipes = map(self.port, ("asks", "answers", "wipes"))
        self.echo, self.staged, self.staged_piece = (
            block.echo.as_value(), block.staged, block.staged_piece,
        )  # fmt: skip
        self.encrypts, self.encrypted = block.encrypts, block.encrypted.valid
        self.hash_ready = block.hashed.ready
        self.ports += [self.echo, self.staged, self.staged_piece, self.encrypts, self.encrypted]
        self.ports += [self.hash_ready, block.encrypted.payload, block.digests.payload]
        self.ports.append(block.counter_value)
        m.d.comb += block.wipe.eq(wipes & ~block.takes_over)

    def _cores(self, m, idle):
        """How many blocks the hash unit has; and what is known of all that comes."""
        block, opcode = self._block, self._block.echo.opcode
        under_way = Signal(range(self._unit.chains + 2))
        takes = block.hashed.valid & block.hashed.ready
        self._before, self._was_idle = before, was_idle = Signal.like(block.echo), Signal()
        m.d.sync += [
            under_way.eq(under_way + takes - block.digests.valid),
            before.eq(block.echo),
            was_idle.eq(idle),
        ]
        known = opcode.matches(Opcode.LOAD, Opcode.ZEROIZE, Opcode.INFO, Opcode.STATS)
        stands = idle & was_idle & known & (self.echo == before.as_value())
        m.d.comb += [
            block.start.eq(self.asks & stands),
            block.digests.valid.eq(self.answers & (under_way != 0)),
        ]
        return under_way

    def _waits(self, under_way):
        """Whether it is another one's turn, who was asked: the AES core's, or the hash unit's."""
        block, at = self._block, self._opened.ongoing
        waits = at("encrypt") & ~block.encrypts
        waits |= at("encrypting") & ~block.encrypted.valid
        waits |= block.hashed.valid & ~block.hashed.ready
        awaits = at("scrub") & ~block.hashed.valid & (self._opened["blocks"] != self._unit.chains)
        awaits |= at("multiplying") if self._unit.chains > 1 else 0
        return waits | (awaits & (under_way != 0) & ~block.digests.valid)

    async def drive(self, context):
        """The wipe behind reset, and a LOAD."""
        load = Load(Suite.AES_128_GCM, Usage.AEAD, bytes(16)).pack()
        limits = most(self._profile)
        for port in (self.encrypts, self.encrypted, self.hash_ready, self.answers):
            context.set(port, 1)
        context.set(self.echo, Opcode.LOAD)
        for cycle in range(limits["reset"] + 2 * limits["LOAD"] + 100):
            begin = cycle - limits["reset"] - 50
            context.set(self.staged, 0 <= begin < 7)
            if 0 <= begin < 7:
                piece = load[BLOCK_BYTES * begin :][:BLOCK_BYTES]
                context.set(self.staged_piece, int.from_bytes(piece, "little"))
            context.set(self.asks, begin == 20)
            await context.tick()

    def _follow(self, m, spent, limit, asked, under_way):
        """How many cycles are left in each state, and what there is in it: invariants."""
        opened, block, at = self._opened, self._block, self._opened.ongoing
        chains, powers, slots = self._unit.chains, self._unit.powers, self._profile.slots
        loads, word, number = opened["loads"], opened["word"], opened["number"]
        blocks, steps, zeros = opened["blocks"], opened["steps"], opened["zeros"]
        forgets, slot, last_slot = opened["forgets"], block.slot, opened["last_slot"]
        informs, last_word = opened["informs"], opened["last_word"]
        reports = Mux(informs, INFO_BYTES, 8 * len(Counter)) // BLOCK_BYTES
        left = Signal(16)
        scrub = 2 * chains + 2
        forget = scrub + _FORGET + 1
        if chains == 1:
            power = 4 * (powers - 1 - number) + 4 - steps[:2] + forget
            all_powers = 4 * (powers - 1) + forget
        else:
            power = 4 * (powers - number) + 1 + forget
            all_powers = 4 * (powers - 1) + 1 + forget
        keys = 2 * (_FIRST_ROUND + 14 * _ROUND) + 4 + all_powers
        behind = Mux(loads, keys, (last_slot - slot) * WORDS_PER_SLOT + forget)
        cases = [
            ("done", 1),
            ("scrub", 2 * chains - number - blocks + 2),
            ("forgotten", Mux(forgets, _FORGET, zeros + 1) + scrub),
            ("forget", forget),
            ("power", power),
            ("there", 1 + power),
            ("arrived", 2 + power),
            ("encrypting", 3 + all_powers),
            ("encrypt", 4 + all_powers),
            ("expand", self._expand(m) + 4 + all_powers),
            ("wipe", WORDS_PER_SLOT - word + behind),
            ("checked", 1 + WORDS_PER_SLOT + keys),
            ("check", 2 + WORDS_PER_SLOT + keys),
            ("report", _REPORT_BLOCK * (reports - blocks) - steps + 1),
            (
                "reset",
                Mux(forgets, 10, Mux(zeros != 0, zeros + 2, 1 + opened["clears"]))
                + WORDS_PER_SLOT * slots
                + forget,
            ),
        ]
        if chains > 1:
            cases.append(("multiplying", power - 1))
        for state, cycles in cases:
            with m.If(at(state)):
                m.d.comb += left.eq(cycles)
        in_power = at("power") | at("there") | at("arrived")
        in_power |= at("multiplying") if chains > 1 else 0
        last_power = powers - 1 if chains == 1 else powers
        request = [flag for _, flag in self._requests()]
        of_load = in_power | at("check") | at("checked") | at("expand")
        of_load |= at("encrypt") | at("encrypting")
        asks = at("idle") & self._was_idle
        multiplying = at("multiplying") if chains > 1 else Const(0)
        m.d.comb += [
            Assert(at("idle") | (spent + left <= limit)),
            Assert(opened.any_state()),
            Assert(sum(request) <= 1),
            Assert(~of_load | loads),
            *(
                Assert(~asks | (flag == (self._before.opcode == Opcode[name])))
                for name, flag in self._requests()
            ),
            Assert(~asks | ((word == 0) & (blocks == 0) & (steps == 0) & (number == 1))),
            Assert(~asks | (last_slot == slot)),
            Assert(at("idle") | ~(informs | opened["counts"]) | at("report") | at("done")),
            Assert(~at("report") | informs | opened["counts"]),
            Assert(~at("reset") | ((sum(request) == 0) & (word == 0) & (blocks == 0))),
            Assert(at("idle") | (asked == (sum(request) != 0))),
            Assert(~at("idle") | ~asked | block.done),
            Assert(at("idle") | block.takes_over | at("report") | at("done")),
            Assert(zeros <= 7),
            Assert(~at("wipe") | (last_word == (word == WORDS_PER_SLOT - 1))),
            Assert(~at("wipe") | (slot <= last_slot)),
            Assert(~(at("wipe") & loads) | (slot == last_slot)),
            Assert(~(at("check") | at("checked")) | ((slot == last_slot) & (word == 0))),
            Assert(last_slot < slots),
            Assert(~at("wipe") | (word == 0) | (opened["no_more_slots"] == (slot == last_slot))),
            Assert(~at("report") | (blocks < reports)),
            Assert(~at("report") | (opened["halves"][1] == (steps == _REPORT_BLOCK - 1))),
            Assert(
                ~at("report") | (steps == 0) | (opened["last_block"] == (blocks == reports - 1))
            ),
            Assert(~(in_power | of_load) | ((number >= 1) & (number <= last_power))),
            Assert(~multiplying | (number < powers)),
            Assert(~((of_load & ~in_power) | (at("wipe") & loads)) | (number == 1)),
            Assert(~at("scrub") | ((number <= chains) & (under_way == number - blocks))),
            Assert(~at("scrub") | (blocks <= number)),
            Assert(~(at("forget") | at("forgotten") | of_load | at("wipe")) | (blocks == 0)),
            Assert(~at("forgotten") | (number == 0)),
            Assert(at("scrub") | (under_way == multiplying)),
        ]

    def _expand(self, m):
        """Cycles of the key schedule until the last round key of both keys."""
        opened, schedule, at = self._opened, self._schedule, self._schedule.ongoing
        aes256, which = self._block.aes256, opened["word"][4]
        number, count = schedule["number"], schedule["count"]
        rounds = Mux(aes256, 14, 10)
        expands = self._opened.ongoing("expand")
        left = Signal(10)
        for state, cycles in (
            ("substitute", 6 + 7 + (number == 0) - count),
            ("add", 2 + 4 - count),
            ("added", 2),
            ("give", 1),
        ):
            with m.If(at(state)):
                m.d.comb += left.eq(cycles)
        begun = (number != 0) | (at("add") & (count != 0)) | at("added") | at("give")
        m.d.comb += [
            Assert(schedule.any_state()),
            Assert(expands | ~begun),
            Assert(~begun | (schedule["aes256"] == aes256)),
            Assert(number <= rounds),
            Assert(~at("substitute") | (count < 7 + (number == 0))),
            Assert(~at("add") | (count < 4)),
            Assert(~(at("added") | at("give")) | (count == 0)),
            Assert(~expands | (opened["word"][:4] == 0)),
        ]
        return left + _ROUND * (rounds - number) + Mux(which, 0, _FIRST_ROUND + _ROUND * rounds)


def _promise(profile: Profile) -> str:
    limits = most(profile)
    reset = limits.pop("reset")
    each = ", ".join(f"{name} after {cycles} cycles" for name, cycles in limits.items())
    return (
        f"In {profile.name}, {each} at the most, and the wipe behind reset after {reset}, beside "
        "those in which it waits for what the AES core or the hash unit owes it; each once."
    )


PROPERTIES = [
    Property(
        name=f"progress.control.{profile.name}",
        promise=_promise(profile),
        design=lambda profile=profile: _Ends(profile),
        method=InductionAndRun(cut=("w:*collected", "w:*words", "w:*staged_load*")),
        mutant=mutant,
    )
    for profile, mutant in (
        (
            COMPACT,
            Mutant(
                what="both keys are expanded as far as AES-256 is, also those of AES-128",
                module="hdl.pipeline.control",
                old="(keys.payload.round == Mux(aes256, 14, 10))",
                new="(keys.payload.round == 14)",
            ),
        ),
        (
            FAST,
            Mutant(
                what="a power of H is waited for that was not asked for",
                module="hdl.pipeline.control",
                old="self.hashed.valid.eq(~last),",
                new="self.hashed.valid.eq(~last & (number != 3)),",
            ),
        ),
    )
]
