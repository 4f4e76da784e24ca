"""When `python -m mutations` is content."""

import pytest

from mutations.__main__ import _good
from mutations.campaign import Fate, Outcome
from mutations.draw import Mutant
from mutations.survivors import Explanation


def result(number, fate):
    mutant = Mutant(number, "inv", "nowhere", "and", "cell", "A", 0, 0, "")
    return mutant, Outcome(number, fate, "run", 0, 1.0)


def results(noticed, survived):
    fates = [Fate.WRONG] * noticed + [Fate.SURVIVED] * survived
    return [result(number, fate) for number, fate in enumerate(fates)]


@pytest.mark.parametrize(
    ("anywhere", "focus", "with_reasons", "good"),
    [
        (results(20, 0), results(5, 0), True, True),
        # A survivor without a reason.
        (results(19, 1), results(5, 0), True, False),
        (results(20, 0), results(4, 1), True, False),
        (results(19, 1), results(4, 1), False, True),
        # Under 95 %.
        (results(18, 2), results(5, 0), False, False),
    ],
)
def test_survivors_are_few_and_have_reasons(anywhere, focus, with_reasons, good):
    assert _good({"anywhere": anywhere, "focus": focus}, with_reasons) is good


def test_what_no_run_can_notice_does_not_count(monkeypatch):
    reason = Explanation("nowhere", "", "nobody reads it")
    monkeypatch.setattr("mutations.__main__.read_explanations", lambda: [reason])
    assert _good({"anywhere": results(10, 10), "focus": results(5, 1)}, with_reasons=True)
