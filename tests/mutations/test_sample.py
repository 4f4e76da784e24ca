"""Twenty mutants of the device in one compiled model: the runs at the front notice them.

`make mutate` takes hundreds, and the whole suite.
"""

import os
from dataclasses import replace
from itertools import islice

import pytest

from mutations.campaign import Fate, record_golden, run_campaign
from mutations.device import DEVICE, EVERYWHERE
from mutations.model import MutatedModel
from mutations.netlist import build_netlist
from mutations.suite import suite

COUNT = 20
#: Those that notice most. Of what they do not notice, the others notice most.
RUNS = 5


@pytest.fixture(scope="module")
def netlist():
    return build_netlist(DEVICE, [replace(EVERYWHERE, count=COUNT)])


@pytest.fixture(scope="module")
def model(netlist):
    return MutatedModel(netlist.rtl)


def test_the_suite_notices_a_sample_of_mutants(netlist, model):
    golden = record_golden(model, DEVICE, list(islice(suite(DEVICE), RUNS)))
    jobs = len(os.sched_getaffinity(0))
    outcomes = run_campaign(model, golden, range(1, COUNT + 1), jobs)
    survivors = [
        netlist.mutants[outcome.mutant - 1] for outcome in outcomes if outcome.fate is Fate.SURVIVED
    ]
    assert len(survivors) <= COUNT // 5


def test_without_a_mutant_nothing_is_noticed(model):
    golden = record_golden(model, DEVICE, list(islice(suite(DEVICE), 1)))
    (outcome,) = run_campaign(model, golden, [0], jobs=1)
    assert outcome.fate is Fate.SURVIVED
