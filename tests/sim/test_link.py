"""The driver's link to a simulation."""

import itertools

import pytest

from driver import LinkError, LinkTimeout
from sim import SimulatedLink, simulate
from tests.sim.toy import Incrementer


@pytest.fixture
def link():
    ticks = itertools.count()
    link = SimulatedLink(simulate(Incrementer(), "amaranth"), clock=lambda: next(ticks))
    yield link
    link.close()


def test_packets_go_out_and_come_back_in_order(link):
    link.send(b"one")
    link.send(b"two")
    assert link.receive(1) == Incrementer.model(b"one")
    assert link.receive(1) == Incrementer.model(b"two")


def test_a_timeout_leaves_the_link_usable(link):
    with pytest.raises(LinkTimeout, match="in 2 s"):
        link.receive(timeout=2)
    link.send(b"late")
    assert link.receive(timeout=2) == Incrementer.model(b"late")


def test_a_closed_link_says_so(link):
    link.close()
    link.close()
    with pytest.raises(LinkError, match="closed"):
        link.send(b"x")
    with pytest.raises(LinkError, match="closed"):
        link.receive(1)
