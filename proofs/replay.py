"""The serial replay window (RFC 9147, 4.5.1), and the stack's own."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Const, Elaboratable, Module, Mux, Signal, signed

from hdl.replay import ReplayWindow
from proofs.accepted_set import NUMBER_BITS, AcceptedSet
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction
from proofs.symbolic import Integer, run
from protocol import window
from protocol.crypto.provider import Refusal

__all__ = ["PROPERTIES", "follow"]


class _Serial(Elaboratable):
    """A window whose holder starts it with any number, and keeps what it says if it is genuine."""

    def __init__(self, width: int):
        self._width = width

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = opened = Opened(ReplayWindow(self._width))
        m.submodules.accepted = accepted = AcceptedSet(self._width)
        block = opened.block

        # The holder's state, which is there from the second cycle on, and the number it asks about.
        begun, judging = Signal(), Signal()
        next_number, seen = Signal(NUMBER_BITS + 1), Signal(self._width)
        number, finishes, accepts = Signal(NUMBER_BITS), Signal(), Signal()
        m.d.comb += [
            block.start.eq(AnySeq(1) & begun & ~judging),
            block.number.eq(AnySeq(NUMBER_BITS)),
            block.next.eq(next_number),
            block.seen.eq(seen),
            finishes.eq(AnySeq(1) & judging & ~block.busy),
            accepts.eq(finishes & AnySeq(1) & ~block.too_old & ~block.replayed),
            accepted.begins.eq(~begun),
            accepted.first.eq(AnyConst(NUMBER_BITS)),
            accepted.number.eq(number),
            accepted.accepts.eq(accepts),
        ]
        m.d.sync += begun.eq(1)
        with m.If(~begun):
            m.d.sync += [next_number.eq(accepted.first), seen.eq(~Const(0, self._width))]
        with m.If(block.start):
            m.d.sync += [number.eq(block.number), judging.eq(1)]
        with m.If(finishes):
            m.d.sync += judging.eq(0)
        with m.If(accepts):
            m.d.sync += seen.eq(block.seen_after)
            with m.If(~block.behind):
                m.d.sync += next_number.eq(number + 1)

        is_tracked = finishes & (number == accepted.tracked)
        m.d.comb += [
            Assert(~finishes | (block.too_old == accepted.too_old), "too old"),
            Assert(
                ~is_tracked | accepted.too_old | (block.replayed == accepted.contains_tracked),
                "replayed",
            ),
            Assert(~(is_tracked & accepts & accepted.contains_tracked), "accepted twice"),
            Assert(begun | ~(judging | block.busy)),
            Assert(~begun | (accepted.invariant() & (next_number == accepted.next))),
        ]
        age = Signal(range(self._width))
        m.d.comb += age.eq(next_number - 1 - accepted.tracked)
        inside = (accepted.tracked < next_number) & (accepted.tracked + self._width >= next_number)
        bit = seen.bit_select(age, 1)
        m.d.comb += Assert(~begun | ~inside | (bit == accepted.contains_tracked))
        m.d.comb += Assert(~block.busy | judging)
        follow(m, opened, number, next_number, judging, accepted.tracked, bit)
        return m


def follow(m, opened, number, following, judging, tracked, bit):
    """Where the bit of the tracked number is while the bits pass: invariants of a `ReplayWindow`.

    They hold while it is ``judging`` a ``number``, or has judged it, for a state whose next number
    is ``following``, and in which ``bit`` is that of the tracked number.
    """
    block, width = opened.block, opened.block.width
    distance, to_tracked = Signal(signed(NUMBER_BITS + 2)), Signal(signed(NUMBER_BITS + 2))
    behind, too_old, is_hit = Signal(), Signal(), Signal()
    done, last_step = Signal(range(width + 1)), Signal(range(width))
    age, left = Signal(range(width)), Signal(range(width + 1))
    position, stays, turned = Signal(signed(width.bit_length() + 1)), Signal(), Signal.like(age)
    m.d.comb += [
        distance.eq(number - following),
        behind.eq(distance < 0),
        too_old.eq(distance < -width),
        last_step.eq(Mux(behind | (distance < width), distance, width - 1)),
        done.eq(Mux(block.busy, opened["step"], width)),
        is_hit.eq(done > last_step),
        # Behind: all bits turn around, that of the tracked number with them.
        age.eq(following - 1 - tracked),
        turned.eq(age + done),
        # Else they move until the number's own comes; so many steps are left.
        to_tracked.eq(number - tracked),
        stays.eq((to_tracked >= 0) & (to_tracked < width)),
        left.eq(Mux(is_hit, 0, last_step + 1 - done)),
        position.eq(to_tracked - left),
    ]
    inside = (tracked < following) & (tracked + width >= following)
    marked = bit | (is_hit & (number == tracked))
    window = block.seen_after
    facts = [
        block.behind == behind,
        block.too_old == too_old,
        opened["last_step"] == last_step,
        ~block.busy | (opened["moves"] == (behind | ~is_hit)),
        (number != tracked) | ~inside | (block.replayed == (is_hit & bit)),
        behind | ~block.replayed,
        ~(behind & inside & ~too_old) | (window.bit_select(turned, 1) == marked),
        behind
        | ~stays
        | (position < 0)
        | (
            window.bit_select(position[: len(age)], 1)
            == Mux(tracked < following, bit, number == tracked)
        ),
    ]
    m.d.comb += [Assert(~judging | fact) for fact in facts]


class _Stack(Elaboratable):
    """`protocol.window.ReplayWindow`: its very code, run on signals, is given any numbers."""

    def __init__(self, width: int):
        self._width = width

    def elaborate(self, platform):
        m = Module()
        m.submodules.accepted = accepted = AcceptedSet(self._width)
        begun, genuine, number = Signal(), Signal(), Signal(NUMBER_BITS)
        next_number, seen = Signal(NUMBER_BITS + 1), Signal(self._width)
        verdicts = (None, Refusal.REPLAYED, Refusal.TOO_OLD)

        def restored(ways):
            restored = window.ReplayWindow(self._width)
            restored.next, restored.seen = Integer(next_number, ways), Integer(seen, ways)
            return restored

        def update(ways):
            updated = restored(ways)
            updated.update(Integer(number, ways))
            return updated.next, updated.seen

        (new_seen,) = run(
            m, lambda ways: (window.ReplayWindow(self._width, Integer(accepted.first, ways)).seen,)
        )
        (verdict,) = run(
            m, lambda ways: (verdicts.index(restored(ways).check(Integer(number, ways))),)
        )
        next_after, seen_after = run(m, update)
        replayed = verdict == verdicts.index(Refusal.REPLAYED)
        too_old = verdict == verdicts.index(Refusal.TOO_OLD)
        accepts = begun & genuine & ~replayed & ~too_old
        m.d.comb += [
            number.eq(AnySeq(NUMBER_BITS)),
            genuine.eq(AnySeq(1)),
            accepted.begins.eq(~begun),
            accepted.first.eq(AnyConst(NUMBER_BITS)),
            accepted.number.eq(number),
            accepted.accepts.eq(accepts),
        ]
        m.d.sync += begun.eq(1)
        with m.If(~begun):
            m.d.sync += [next_number.eq(accepted.first), seen.eq(new_seen)]
        with m.Elif(accepts):
            m.d.sync += [next_number.eq(next_after), seen.eq(seen_after)]

        age = Signal(range(self._width))
        inside = (accepted.tracked < next_number) & (accepted.tracked + self._width >= next_number)
        is_tracked = begun & (number == accepted.tracked)
        m.d.comb += [
            age.eq(next_number - 1 - accepted.tracked),
            Assert(~begun | (too_old == accepted.too_old), "too old"),
            Assert(
                ~is_tracked | accepted.too_old | (replayed == accepted.contains_tracked),
                "replayed",
            ),
            Assert(~(is_tracked & accepts & accepted.contains_tracked), "accepted twice"),
            Assert(~begun | (accepted.invariant() & (next_number == accepted.next))),
            Assert(~begun | ~inside | (seen.bit_select(age, 1) == accepted.contains_tracked)),
        ]
        return m


_WIDTHS = (32, 64, 128)

PROPERTIES = [
    *(
        Property(
            name=f"replay.serial.{width}",
            promise=f"The serial window of {width} calls replayed just the numbers accepted before "
            "and too old just those left of it, in every sequence, and so accepts none twice.",
            design=lambda width=width: _Serial(width),
            method=Induction(within=9),
            mutant=Mutant(
                what="the bit of the number is looked for a step too late",
                module="hdl.replay",
                old="with m.If(hit & self.behind & ~self.too_old & window[-1]):",
                new="with m.If((step == last_step + 1) & self.behind & window[-1]):",
            ),
            broken_design=lambda: _Serial(4),
        )
        for width in _WIDTHS
    ),
    *(
        Property(
            name=f"replay.stack.{width}",
            promise=f"The stack's window of {width}, to which tests compare the hardware, says "
            "just the same in every sequence.",
            design=lambda width=width: _Stack(width),
            method=Induction(within=5),
            mutant=Mutant(
                what="numbers that are left out count as accepted",
                module="protocol.window",
                old="self.seen << min(-age, self.width) | 1)",
                new="(self.seen + 1 << min(-age, self.width)) - 1 | 1)",
            ),
        )
        for width in _WIDTHS
    ),
]
