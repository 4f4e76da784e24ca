"""`Ingress` of the pipelined engine with packets of any kind, for proofs: where it is in each."""

from abc import ABC, abstractmethod

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from hdl.block import BLOCK_BYTES
from hdl.pipeline.ingress import Ingress
from hdl.pipeline.plan import one_piece, pieces
from hdl.profile import AESCore, Profile
from proofs.opened import Opened
from proofs.plans import beats, is_consistent, largest

__all__ = ["Packets", "longest"]


def longest(profile: Profile) -> int:
    """Blocks that a packet has at the most: a header of two blocks, the text and the tag."""
    return -(-largest(profile) // BLOCK_BYTES) + 3


class Packets(Elaboratable, ABC):
    """`Ingress` with packets whose beats are any, and plans that are right about them.

    Assumed is what `progress.lookup` proves: that a plan says what follows from its packet's length
    (`is_consistent`) and is there only if there was ``room``; and that a packet's last beat is
    ``bad``, or the one that this length makes the last. No block is read that was not released
    (`queue.blocks`).

    A beat waits while there is no room for blocks, or no plan.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self._width = 4 if profile.aes is AESCore.RING else BLOCK_BYTES
        #: Cycles of a command.
        self._turns = 1 if self._width == BLOCK_BYTES else 6
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
        self.ports += [block.block_read, block.wipe]
        self.rooms(m)
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
        self._follow_blocks(m)
        self.promise(m)
        return m

    @abstractmethod
    def promise(self, m: Module) -> None:
        """Assert what is promised."""

    def rooms(self, m: Module) -> None:
        """Give ``requests_room`` and ``masks_room``: anything."""
        self.ports += [self._block.requests_room, self._block.masks_room]

    def is_in(self, *names):
        return Cat(self._state[name] for name in names).any()

    def _count(self, m, coming):
        """Beats of the packet that have been taken, and bytes that are left of its sections."""
        sections, gate, turn = self._sections, self._sections._gate.read, self._block._turn
        start, ended = self.is_in("start"), sections._ended
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
        with m.If(turn & self.is_in("text") & sections._takes):
            m.d.sync += self._text.eq(self._text - BLOCK_BYTES)
        with m.If(turn & self.is_in("associated data") & sections._takes):
            m.d.sync += self._associated.eq(self._associated - BLOCK_BYTES)
        # Of a packet that is not refused, a good last beat is where it belongs.
        inside = ~start & ~self.is_in("drain") & ~ended
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
        m.d.comb += waiting.eq(self.is_in("prefix") | age.any())
        self._waiting = waiting
        rests = self.is_in("text") & sections._leaves & ~plan.tagged
        going = ~self.is_in("start", "drain")
        m.d.comb += [
            Assert(sum(states) + sum(age) == 1),
            Assert(self.is_in("start") | is_consistent(plan, self._length, self._profile)),
            Assert(~going | ~plan.to_drain),
            Assert(~going | ~sections._bad),
            Assert(~sections._bad | ended),
            Assert(~self.is_in("template end") | plan.to_template_end),
            Assert(~self.is_in("header end") | plan.to_header_end),
            Assert(~(waiting | self.is_in("associated data")) | plan.to_prefix),
            Assert(~self.is_in("tag") | plan.tagged),
            Assert(~ended | self.is_in("start", "drain") | rests | waiting),
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
            plan.tagged | plan.aead | (sections._text_at == BLOCK_BYTES - 1),
        ]
        beyond = self._popped + self.is_in("header end")
        place = [(beyond << 4) + sections._text_at + text + tag == length + BLOCK_BYTES - 1]
        in_text = self.is_in("text", "template end", "header end")
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
            (~self.is_in("start") & ~plan.aead, [sections.text == plan.text_bytes]),
            (plan.aead & self.is_in("text", "tag"), [*known, ~sections.text[-1]]),
            (in_text, [*text_is, *place]),
            (self.is_in("template end"), [self._popped == 0]),
            (self.is_in("header end") | self._waiting, [self._popped == 1]),
            (
                self.is_in("prefix") | age[0],
                [sections.text == (length - BLOCK_BYTES - tag)[:17]],
            ),
            (age[1], [*known, *measured]),
            (
                age[2],
                [
                    *known,
                    *checked,
                    *text_known,
                    ~((inner["accepted"] | inner["fits"]) & sections.text[-1]),
                ],
            ),
            (self.is_in("associated data"), in_associated),
            (self.is_in("tag"), [(self._popped << 4) + plan.tag_at + 1 == length]),
        ):
            m.d.comb += [Assert(~condition | fact) for fact in facts]

    def _follow_blocks(self, m):
        """Blocks that are held, and those of the packet at hand: invariants."""
        block, opened, sections = self._block, self._opened, self._sections
        count, base, freed = opened["count"], opened["base"], opened["freed"]
        most, command, use, done = (
            longest(self._profile),
            sections.command.use,
            block._use,
            block._done,
        )
        self.held = held = Signal(range(self._profile.queue_blocks + 1))
        m.d.sync += held.eq(held + block.release - block.block_read)
        asked, behind = Signal.like(count), Signal.like(count)
        with m.If(block._turn):
            m.d.sync += asked.eq(Mux(command.end, 0, asked) + sections._next.use.write)
        m.d.comb += behind.eq(Mux(done.end, 0, count))
        now = Mux(use.end, 0, behind + use.write) + command.write
        if self._turns > 1:
            first = opened["step"] == 0
            now = Mux(first, now, behind + command.write)
            m.d.comb += [
                Assert(opened["step"] < self._turns),
                Assert(first | (Value.cast(use) == Value.cast(command))),
                Assert(~Value.cast(done).any() | (opened["step"] == 1)),
            ]
        # A header that is built, or a piece that leaves something in its beat.
        extra = Mux(sections.plan.seal, 2 - self.is_in("template end"), self.is_in("tag"))
        m.d.comb += [
            Assume(~block.block_read | (held != 0)),
            Assert((held + base)[: len(base)] == (base + base - freed)[: len(base)]),
            Assert(block.block_address == (base + count - block.write)[: len(base)]),
            Assert(count >= block.write),
            Assert(asked == now),
            Assert(asked <= most),
            Assert(~self.is_in("start") | command.end | (asked == 0)),
            Assert(self.is_in("start", "drain") | (asked <= self._popped + extra)),
            Assert(count <= most),
        ]
