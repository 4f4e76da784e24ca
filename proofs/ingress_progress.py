"""The pipelined engine's ingress takes packets of any kind, and gives one request for each."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from hdl.block import BLOCK_BYTES
from hdl.pipeline.ingress import Ingress
from hdl.pipeline.plan import one_piece, pieces
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened
from proofs.plans import beats, is_consistent, largest
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: Commands from one beat that moves on until the next one does, or since it was there.
_MOST_COMMANDS = 9


def _to_request(turns: int) -> int:
    """Those from the last beat of a packet until its request, at the most."""
    return 6 * turns + 1


def _longest(profile: Profile) -> int:
    """Blocks that a packet has at the most: a header of two blocks, the text and the tag."""
    return -(-largest(profile) // BLOCK_BYTES) + 3


def _most_waiting(profile: Profile) -> int:
    """Blocks of earlier requests that leave room for any packet."""
    return profile.queue_blocks - Ingress.MARGIN - 1 - _longest(profile)


class _Packets(Elaboratable):
    """`Ingress` with packets whose beats are any, and plans that are right about them.

    Assumed is what `progress.lookup` proves: that a plan says what follows from its packet's length
    (`is_consistent`) and is there only if there was ``room``; and that a packet's last beat is
    ``bad``, or the one that this length makes the last. No block is read that was not released
    (`queue.blocks`).

    A beat waits while there is no room for blocks, or no plan.
    """

    def __init__(self, profile: Profile, width: int):
        self._profile, self._width = profile, width
        #: Cycles of a command.
        self._turns = 1 if width == BLOCK_BYTES else 6
        self.ports: list[Value] = []

    def elaborate(self, platform):
        m = Module()
        self._block = block = Ingress(self._profile, self._profile.queue_blocks, self._width)
        m.submodules.block = self._opened = Opened(block)
        self._sections = sections = block._sections
        self._inner = self._opened.within("sections")
        self._state = {name: sections._states[name] for name in sections._states}
        front, self._length = block.front, Signal(20)
        coming = Signal(16)  # what the packet's header says, whose plan is there
        self.ports += [front.plans.valid, Value.cast(front.plans.payload), coming]
        self.ports += [front.beats.valid, Value.cast(front.beats.payload), front.data]
        self.ports += [block.block_read, block.masks_room, block.requests_room, block.wipe]
        self._popped, self._text, self._associated = Signal(13), Signal(20), Signal(20)
        had_room = Signal()
        m.d.sync += had_room.eq(front.room)
        m.d.comb += [
            Assume(~front.plans.valid | had_room),
            Assume(~front.plans.valid | is_consistent(front.plans.payload, coming, self._profile)),
            Assume(~front.beats.payload.bad | front.beats.payload.last),
        ]
        self._count(m, coming)
        self._follow_states(m)
        self._follow_lengths(m)
        self._promise_beats(m)
        self._promise_requests(m)
        self._promise_room(m)
        return m

    def _in(self, *names):
        return Cat(self._state[name] for name in names).any()

    def _count(self, m, coming):
        """Beats of the packet that have been taken, and bytes that are left of its sections."""
        sections, gate, turn = self._sections, self._sections._gate.read, self._block._turn
        start, ended = self._in("start"), sections._ended
        with m.If(turn & start):
            m.d.sync += [
                self._length.eq(coming),
                self._popped.eq(sections._pops),
                self._text.eq(sections.plans.payload.text_bytes),
            ]
        with m.Elif(turn):
            m.d.sync += self._popped.eq(self._popped + sections._pops)
        with m.If(turn & self._inner["age"][2]):
            m.d.sync += [
                self._text.eq(sections.text),
                self._associated.eq(sections.associated),
            ]
        with m.If(turn & self._in("text") & sections._takes):
            m.d.sync += self._text.eq(self._text - BLOCK_BYTES)
        with m.If(turn & self._in("associated data") & sections._takes):
            m.d.sync += self._associated.eq(self._associated - BLOCK_BYTES)
        # Of a packet that is not refused, a good last beat is where it belongs.
        inside = ~start & ~self._in("drain") & ~ended
        first = start & sections.plans.valid
        good = gate.valid & gate.payload.good
        m.d.comb += [
            Assume(~(good & inside) | (self._popped + 1 == beats(self._length))),
            Assume(~(good & first) | (beats(coming) == 1)),
        ]
        second = self._opened.within("sections", "gate")["second"]
        for not_there, word in (
            (~gate.valid, gate.payload),
            (0, data.View(gate.payload.shape(), second)),
        ):
            m.d.comb += [
                Assert(not_there | (word.good == (word.last & ~word.bad))),
                Assert(not_there | ~word.bad | word.last),
            ]

    def _follow_states(self, m):
        """One state at a time, and only those on the plan's way: invariants."""
        sections, plan, inner = self._sections, self._sections.plan, self._inner
        states, age, ended = list(self._state.values()), inner["age"], sections._ended
        waiting = Signal()  # for the prefix
        m.d.comb += waiting.eq(self._in("prefix") | age.any())
        self._waiting = waiting
        rests = self._in("text") & sections._leaves & ~plan.tagged
        going = ~self._in("start", "drain")
        m.d.comb += [
            Assert(sum(states) + sum(age) == 1),
            Assert(self._in("start") | is_consistent(plan, self._length, self._profile)),
            Assert(~going | ~plan.to_drain),
            Assert(~going | ~sections._bad),
            Assert(~sections._bad | ended),
            Assert(~self._in("template end") | plan.to_template_end),
            Assert(~self._in("header end") | plan.to_header_end),
            Assert(~(waiting | self._in("associated data")) | plan.to_prefix),
            Assert(~self._in("tag") | plan.tagged),
            Assert(~ended | self._in("start", "drain") | rests | waiting),
            Assert(~(ended & waiting) | ((self._length == BLOCK_BYTES) & ~plan.tagged)),
        ]

    def _follow_lengths(self, m):
        """Where in the packet its sections are: invariants."""
        sections, plan, inner = self._sections, self._sections.plan, self._inner
        length, text, associated = self._length, self._text, self._associated
        age, left, last = inner["age"], sections._left, sections._last
        tag = plan.tagged << 4
        whole = sections.text[:-1]
        text_is = [
            left == pieces(text[:16]),
            last == (text <= BLOCK_BYTES),
            text != 0,
            text <= largest(self._profile),
            sections._crosses == (plan.tag_at <= sections._text_at),
            sections._leaves == (last & ~sections._crosses),
        ]
        beyond = self._popped + self._in("header end")
        place = [(beyond << 4) + sections._text_at + text + tag == length + BLOCK_BYTES - 1]
        in_text = self._in("text", "template end", "header end")
        # Of AEAD messages, what is known when.
        rest = Signal(17)  # of the payload, less the associated data
        m.d.comb += rest.eq(length - BLOCK_BYTES - tag - sections.associated)
        known = [sections.text == rest]
        measured = [
            sections._text_at == (sections.associated - 1)[:4],
            inner["no_associated"] == (sections.associated == 0),
            inner["associated_pieces"] == pieces(sections.associated),
            inner["associated_one"] == one_piece(sections.associated),
        ]
        checked = [
            sections._crosses == (plan.tag_at <= sections._text_at),
            left == pieces(sections.associated),
            last == one_piece(sections.associated),
            inner["no_associated"] == (sections.associated == 0),
            sections._text_at == (sections.associated - 1)[:4],
        ]
        text_known = [
            inner["no_text"] == (sections.text == 0),
            inner["text_pieces"] == pieces(whole),
            inner["text_one"] == one_piece(sections.text),
        ]
        in_associated = [
            *known,
            *text_known,
            text == sections.text,
            ~sections.text[-1],
            associated != 0,
            associated <= sections.associated,
            left == pieces(associated[:16]),
            last == (associated <= BLOCK_BYTES),
            (self._popped << 4) + associated == BLOCK_BYTES + sections.associated,
            sections._text_at == (sections.associated - 1)[:4],
            sections._crosses == (plan.tag_at <= sections._text_at),
        ]
        for condition, facts in (
            (in_text, [*text_is, *place]),
            (self._in("template end"), [self._popped == 0]),
            (self._in("header end") | self._waiting, [self._popped == 1]),
            (
                self._in("prefix") | age[0],
                [sections.text == (length - BLOCK_BYTES - tag)[:17]],
            ),
            (age[1], [*known, *measured]),
            (age[2], [*known, *checked, *text_known, ~(inner["accepted"] & sections.text[-1])]),
            (self._in("associated data"), in_associated),
            (self._in("tag"), [(self._popped << 4) + plan.tag_at + 1 == length]),
        ):
            m.d.comb += [Assert(~condition | fact) for fact in facts]

    def _left_of_command(self):
        """Cycles until the next command."""
        return 0 if self._turns == 1 else self._turns - 1 - self._opened["step"]

    def _choose(self, m, shape, *cases):
        """The value of the first case that is so, or 0."""
        chosen = Signal(shape)
        for condition, value in reversed(cases):
            with m.If(condition):
                m.d.comb += chosen.eq(value)
        return chosen

    def _promise_beats(self, m):
        front, sections = self._block.front, self._sections
        gate, ended, plan = sections._gate.read, sections._ended, sections.plan
        taken = front.beats.valid & front.beats.ready
        most = _MOST_COMMANDS
        no_plan = self._in("start") & gate.valid & ~front.plans.valid
        no_room = ~gate.valid & ~self._block._room
        inside, waited = Signal(3), Signal(range(most + 2))
        m.d.sync += inside.eq(inside + taken - front.move)
        with m.If(front.move | ~(front.beats.valid | (inside != 0))):
            m.d.sync += waited.eq(0)
        with m.Elif(self._block._turn & ~no_plan & ~no_room):
            m.d.sync += waited.eq(waited + 1)
        # How many commands take no beat before one that does.
        age = self._inner["age"]
        commands = self._choose(
            m,
            4,
            (self._in("start"), 2),
            (self._in("template end"), 1),
            (self._in("prefix"), 7),
            (age[0], 6),
            (age[1], 5),
            (age[2], 4),
            (self._in("text") & sections._leaves, Mux(plan.open, 1, 3)),
            (self._in("drain") & ended, 3),
        )
        full, moves = self._opened.within("sections", "gate")["full"], sections.command.move
        left = Mux(moves, 0, commands + Mux(gate.valid, 1, 2))
        idle = ~front.beats.valid & (inside == 0)
        m.d.comb += [
            Assert(waited <= most, "a beat moves on soon"),
            Assert(idle | (waited + left <= most)),
            Assert(~full | gate.valid),
            Assert(inside == full + gate.valid + moves),
        ]
        if self._turns > 1:
            m.d.comb += Assert(self._opened["step"] < self._turns)

    def _promise_requests(self, m):
        block, sections, turn = self._block, self._sections, self._block._turn
        gate, ended, age = sections._gate.read, sections._ended, self._inner["age"]
        most = _to_request(self._turns)
        owed, waited = Signal(3), Signal(range(most + 2))
        gives = block.requests.valid
        m.d.sync += [
            owed.eq(owed + (turn & sections._pops & gate.payload.last) - gives),
            waited.eq(Mux(gives | (owed == 0), 0, waited + 1)),
        ]
        m.d.comb += [
            Assert(~gives | (owed != 0), "no request without a packet that has ended"),
            Assert(waited <= most, "a packet that has ended gives a request soon"),
        ]
        # Where it is: in the packet's state, in its last command, and behind.
        inside = ended & ~self._in("start")
        command, use, done = sections.command.use.end, block._use.end, block._done.end
        cut, step = use & block._completes, self._left_of_command()
        states = self._choose(m, 3, (self._in("prefix"), 4), (age[0], 3), (age[1], 2), (age[2], 1))
        left = self._choose(
            m,
            8,
            (done, 0),
            (cut, 1),
            (command, step + 2),
            (inside, self._turns * states + self._turns + step + 2),
        )
        m.d.comb += [
            Assert(owed == inside + command + cut + done),
            Assert((owed == 0) | (waited + left <= most)),
        ]

    def _promise_room(self, m):
        """Blocks that are released, and those that are written and may be written over."""
        block, opened, sections = self._block, self._opened, self._sections
        depth = self._profile.queue_blocks
        longest, most = _longest(self._profile), _most_waiting(self._profile)
        count, base, freed = opened["count"], opened["base"], opened["freed"]
        room, occupied = block._room, opened["occupied"]
        held, done, use = Signal(range(depth + 1)), block._done, block._use
        command = sections.command.use
        m.d.sync += held.eq(held + block.release - block.block_read)
        m.d.comb += Assume(~block.block_read | (held != 0))
        held_before, held_then = Signal.like(held), Signal.like(held)
        m.d.sync += [held_before.eq(held), held_then.eq(held_before)]
        cycles = Signal(2)  # since reset, in which there is no room
        m.d.sync += cycles.eq(cycles + (cycles != 3))
        m.d.comb += [
            Assert((cycles < 2) | room | (held_then > most), "there is room when little waits"),
            Assert(block.release <= longest, "a request has no more blocks than that"),
            Assert((cycles < 1) | (occupied <= held_before + longest)),
            Assert((cycles != 0) | ((held == 0) & (count == 0))),
            Assert((held + base)[: len(base)] == (base + base - freed)[: len(base)]),
            Assert(block.block_address == (base + count - block.write)[: len(base)]),
            Assert(count >= block.write),
        ]
        # Blocks of the packet at hand that have been asked for.
        asked, behind, turn = Signal(range(depth)), Signal(range(depth)), block._turn
        next_use = sections._next.use
        with m.If(turn):
            m.d.sync += asked.eq(Mux(command.end, 0, asked) + next_use.write)
        m.d.comb += behind.eq(Mux(done.end, 0, count))
        cut = behind + use.write
        now = Mux(use.end, 0, cut) + command.write
        if self._turns > 1:
            first = opened["step"] == 0
            now = Mux(first, now, behind + command.write)
            m.d.comb += Assert(first | (Value.cast(use) == Value.cast(command)))
            m.d.comb += Assert(~Value.cast(done).any() | (opened["step"] == 1))
        # A header that is built, or a piece that leaves something in its beat.
        extra = Mux(sections.plan.seal, 2 - self._in("template end"), self._in("tag"))
        m.d.comb += [
            Assert(asked == now),
            Assert(asked <= longest),
            Assert(~self._in("start") | command.end | (asked == 0)),
            Assert(self._in("start", "drain") | (asked <= self._popped + extra)),
            Assert(count <= longest),
        ]


_MUTANT = Mutant(
    what="a packet that goes on behind its tag is left there",
    module="hdl.pipeline.sections",
    old="(self._takes & (bad | complete) & ~self._ends)",
    new="(self._takes & bad & ~self._ends)",
)

PROPERTIES = [
    Property(
        name=f"progress.ingress.{profile.name}",
        promise=f"While there is room and a plan, the next beat in `Ingress` ({profile.name}) "
        f"moves on in {(_MOST_COMMANDS + 1) * turns} cycles, whatever its packet is; that gives "
        f"one request, {_to_request(turns)} cycles after its last beat at the most; and there is "
        f"room for blocks while {_most_waiting(profile):,} or fewer of earlier requests wait, "
        "whatever was refused.",
        design=lambda profile=profile, width=width: _Packets(profile, width),
        method=Induction(depth=3, within=20, cut=("w:*words*",)),
        mutant=_MUTANT,
        broken_design=lambda: _Packets(FAST, BLOCK_BYTES),
    )
    for profile, width, turns in ((COMPACT, 4, 6), (FAST, BLOCK_BYTES, 1))
]
