# amaranth: UnusedElaboratable=no
"""The replay window against its model, and the corners of both."""

import random

import pytest

from hdl.replay import ReplayWindow, ReplayWindowModel, Verdict
from tests.hdl.streams import simulate

LAST = 2**48 - 1


def run(numbers, *, width=64, first=0):
    """Offer ``numbers`` to gateware and model, accept those that are new; returns the verdicts."""
    dut = ReplayWindow(width)
    model = ReplayWindowModel(width, first)
    verdicts = []

    async def offer(ctx):
        next_number, seen = first, (1 << width) - 1
        for number in numbers:
            ctx.set(dut.number, number)
            ctx.set(dut.next, next_number)
            ctx.set(dut.seen, seen)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.number, ~number & LAST)
            ctx.set(dut.next, 0)
            ctx.set(dut.seen, 0)
            await ctx.tick().repeat(width - 1)
            assert ctx.get(dut.busy)
            await ctx.tick()
            assert not ctx.get(dut.busy)
            too_old, replayed = ctx.get(dut.too_old), ctx.get(dut.replayed)
            assert not (too_old and replayed)
            verdict = Verdict.TOO_OLD if too_old else Verdict.REPLAYED if replayed else Verdict.NEW
            assert verdict is model.check(number), f"number {number}, next {model.next}"
            verdicts.append(verdict)
            if verdict is Verdict.NEW:
                if not ctx.get(dut.behind):
                    next_number = number + 1
                seen = ctx.get(dut.seen_after)
                model.accept(number)
                assert next_number == model.next

    simulate(dut, offer)
    return verdicts


def jumps(rng, width, count):
    """Numbers that wander around the window's edges, with leaps of every size."""
    number = rng.randrange(2**20)
    for _ in range(count):
        number += rng.choice([0, 1, 1, 1, -1, rng.randint(-width - 2, width + 2)])
        if rng.random() < 0.02:
            number += 1 << rng.randrange(40)
        number = max(0, min(LAST, number))
        yield number


@pytest.mark.parametrize("width", [2, 32, 64, 100, 128])
@pytest.mark.parametrize("seed", range(4))
def test_gateware_equals_model_on_random_walks(seed, width):
    rng = random.Random(seed)
    verdicts = run(list(jumps(rng, width, 400)), width=width)
    assert set(verdicts) == set(Verdict)


def test_numbers_in_order_are_new_and_again_are_replays():
    numbers = list(range(100))
    assert set(run(numbers)) == {Verdict.NEW}
    assert run([5, 5, 6, 5, 6]) == [
        Verdict.NEW,
        Verdict.REPLAYED,
        Verdict.NEW,
        Verdict.REPLAYED,
        Verdict.REPLAYED,
    ]


@pytest.mark.parametrize("width", [32, 64])
def test_the_window_holds_exactly_its_width(width):
    edge = 1000 - width + 1
    assert run([1000, edge, edge, edge - 1], width=width) == [
        Verdict.NEW,
        Verdict.NEW,
        Verdict.REPLAYED,
        Verdict.TOO_OLD,
    ]


@pytest.mark.parametrize("leap", [62, 63, 64, 65, 2**32, 2**48 - 2])
def test_a_leap_forgets_what_falls_out_and_nothing_else(leap):
    verdicts = run([0, leap, leap, max(0, leap - 63), max(0, leap - 64), 0])
    assert verdicts[:3] == [Verdict.NEW, Verdict.NEW, Verdict.REPLAYED]
    assert verdicts[-1] is (Verdict.REPLAYED if leap < 64 else Verdict.TOO_OLD)


def test_the_last_number_is_accepted_once():
    assert run([LAST - 1, LAST, LAST, LAST - 1, LAST - 63, LAST - 64]) == [
        Verdict.NEW,
        Verdict.NEW,
        Verdict.REPLAYED,
        Verdict.REPLAYED,
        Verdict.NEW,
        Verdict.TOO_OLD,
    ]


def test_numbers_before_the_first_are_never_new():
    assert run([999, 1000, 999, 1000 - 63, 1000 - 64], first=1000) == [
        Verdict.REPLAYED,
        Verdict.NEW,
        Verdict.REPLAYED,
        Verdict.REPLAYED,
        Verdict.TOO_OLD,
    ]
    assert run([LAST], first=LAST) == [Verdict.NEW]


def test_the_model_refuses_to_accept_what_is_not_new():
    model = ReplayWindowModel()
    model.accept(7)
    with pytest.raises(ValueError, match="record number 7 is replayed"):
        model.accept(7)


def test_a_window_needs_two_records():
    with pytest.raises(ValueError, match="replay window of 1 "):
        ReplayWindow(1)
