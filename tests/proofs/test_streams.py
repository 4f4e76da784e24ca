"""Stream rules are proved of every stream that a block gives, and what breaks them is noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from amaranth.hdl import Fragment, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.accelerator import Accelerator
from hdl.host_link.host_link import HostLink
from hdl.profile import PROFILES
from proofs.property import Verdict
from proofs.stream_rules import StreamBench, StreamRules, streams_of
from proofs.streams import NOT_PROVED, blocks

METHOD = StreamRules(runs=64, cycles=50)


class Giver(wiring.Component):
    """Gives numbers, one after the other; ``rule`` is how it breaks the rules, if it does."""

    go: In(1)
    numbers: Out(stream.Signature(4))

    def __init__(self, rule: str = ""):
        self._rule = rule
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        port, full, count = self.numbers, Signal(), Signal(4)
        m.submodules.memory = memory = Memory(shape=4, depth=16, init=range(16))
        read, write = memory.read_port(domain="comb"), memory.write_port()
        m.d.comb += [write.addr.eq(count), write.data.eq(3), read.addr.eq(count)]
        m.d.comb += [port.valid.eq(full), port.payload.eq(count)]
        taken = port.valid & port.ready
        with m.If(taken):
            m.d.sync += [count.eq(count + 1), full.eq(0)]
        with m.Elif(self.go):
            m.d.sync += full.eq(1)
        if self._rule == "lets go":
            with m.If(~self.go):
                m.d.sync += full.eq(0)
        if self._rule == "changes":
            m.d.sync += count.eq(count + 1)
        if self._rule == "waits":
            with m.If(~port.ready & ~full):
                m.d.sync += full.eq(0)
        if self._rule == "waits at once":
            m.d.comb += port.valid.eq(full & port.ready)
        if self._rule == "counts ready":
            with m.If(port.ready & ~full):
                m.d.sync += count.eq(count + 1)
        if self._rule == "remembers ready":
            m.d.comb += [write.en.eq(port.ready & ~full), port.payload.eq(Mux(full, read.data, 0))]
        return m


def test_who_keeps_the_rules_is_proved(tmp_path: Path) -> None:
    assert METHOD.check(StreamBench(Giver()), tmp_path).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("rule", "finding", "fault"),
    [
        ("lets go", "not shown to hold: numbers", "numbers does not hold"),
        ("changes", "not shown to hold: numbers", "numbers does not hold"),
        ("waits", "not shown equal", "numbers waits for ready"),
        ("waits at once", "valid follows from ready: numbers", "numbers waits for ready"),
        ("counts ready", "not shown equal", "numbers waits for ready"),
        ("remembers ready", "not shown", "numbers waits for ready"),
    ],
)
def test_each_way_to_break_the_rules_is_noticed(rule, finding, fault, tmp_path: Path) -> None:
    found = METHOD.check(StreamBench(Giver(rule)), tmp_path)
    assert found.verdict is Verdict.UNKNOWN
    assert found.detail.startswith(finding)
    found = METHOD.refute(StreamBench(Giver(rule)), tmp_path)
    assert found.verdict is Verdict.FAILS
    assert found.detail.startswith(fault)


def components(fragment: Fragment) -> Iterator[wiring.Component]:
    yield from (item for item in fragment.origins or () if isinstance(item, wiring.Component))
    for part, _, _ in fragment.subfragments:
        yield from components(part)


def test_each_stream_of_a_device_is_proved_or_there_is_a_reason() -> None:
    designs = [*map(Accelerator, PROFILES.values()), HostLink(12_000_000, 4)]
    there = {
        (type(block).__name__, name)
        for design in designs
        for block in components(Fragment.get(design, None))
        for name, port in streams_of(block)[0].items()
        if not port.signature.always_ready
    }
    benches = blocks()
    for bench in benches:
        Fragment.get(bench, None)
    proved = {
        (type(getattr(bench.block, "block", bench.block)).__name__, name)
        for bench in benches
        for name in bench.names
    }
    assert proved | NOT_PROVED.keys() == there
    assert not proved & NOT_PROVED.keys()
