"""Proofs that a block keeps the rules of streams, whatever comes and whenever it is taken.

Of each stream that it gives: what is valid stays so, with the same payload, until it is ready
(AXI4-Stream, 2.2.1). And nothing waits for ready: what a block gives, when, and all that comes
later is the same, whatever ready is while valid is low. So valid does not follow from ready in the
same cycle either.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from amaranth.hdl import Elaboratable, Fragment, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Signature

from proofs.independence import Gates, Search
from proofs.memories import Memories
from proofs.netlist import Netlist, translate
from proofs.property import Finding, Verdict

__all__ = ["StreamBench", "StreamRules", "streams_of"]


def streams_of(interface) -> tuple[dict, dict, dict]:
    """Streams given, streams taken, and other inputs of an interface, by their names."""
    given: dict = {}
    taken: dict = {}
    others: dict = {}
    _collect(interface.signature, interface, "", (given, taken, others))
    return given, taken, others


def _collect(signature: Signature, interface, prefix: str, found) -> None:
    given, taken, others = found
    for name, member in signature.members.items():
        part, name = getattr(interface, name), prefix + name
        if member.is_port:
            if member.flow is In:
                others[name] = part
        elif isinstance(_unflipped(member), stream.Signature):
            (taken if member.flow is In else given)[name] = part
        else:
            _collect(member.signature, part, f"{name}_", found)


def _unflipped(member) -> Signature:
    return member.signature.flip() if member.flow is In else member.signature


class StreamBench(Elaboratable):
    """A block, with streams that keep their rules to take, and anything at its other inputs.

    ``invariants`` are what of its registers holds in every cycle; they are proved too. ``driven``
    are inputs that are not anything: what they are is made of the module, the block and what would
    be there. ``streams`` gives what `streams_of` does, of a block that has none by that name. Those
    ``without`` rules may do as they like. Rules hold in cycles that so many others come ``before``.
    """

    def __init__(
        self,
        block,
        invariants: Callable[..., Mapping[str, Value]] = lambda block: {},
        driven: Mapping[str, Callable[..., Value]] | None = None,
        streams=streams_of,
        without: Sequence[str] = (),
        before: int = 1,
    ):
        self.block = block
        self.ports: list[Signal] = []
        self.before = before
        self._invariants = invariants
        self._driven = driven or {}
        self._given, self._taken, self._others = streams(block)
        if unknown := self._driven.keys() - self._others.keys():
            raise ValueError(f"no inputs to drive: {sorted(unknown)}")
        #: Names of the streams that it gives, and whose reader may not be ready.
        self.names = [
            name
            for name, port in self._given.items()
            if not port.signature.always_ready and name not in without
        ]

    def _port(self, name: str, shape) -> Signal:
        signal = Signal(shape, name=name)
        self.ports.append(signal)
        return signal

    def _anything(self, m: Module, name: str, port) -> Value:
        anything = self._port(f"given_{name}", len(Value.cast(port)))
        if name in self._driven:
            return self._driven[name](m, self.block, anything)
        return anything

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = self.block
        for name, port in self._others.items():
            m.d.comb += Value.cast(port).eq(self._anything(m, name, port))
        for name, port in self._taken.items():
            self._give(m, name, port)
        for name in self._given.keys() - self.names:
            if not self._given[name].signature.always_ready:
                m.d.comb += self._given[name].ready.eq(self._anything(m, name, Signal()))
        for name in self.names:
            port = self._given[name]
            payload = Value.cast(port.payload)
            m.d.comb += [
                port.ready.eq(self._port(f"ready_{name}", 1)),
                self._port(f"equal_valid_{name}", 1).eq(port.valid),
                self._port(f"equal_payload_{name}", len(payload)).eq(Mux(port.valid, payload, 0)),
            ]
        for name, value in self._invariants(self.block).items():
            m.d.comb += self._port(f"invariant_{name}", 1).eq(value)
        return m

    def _give(self, m: Module, name: str, port) -> None:
        """Any stream that holds what it gives until it is taken."""
        payload = Value.cast(port.payload)
        waits, waiting = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_waiting")
        anything = self._anything(m, f"{name}_payload", payload)
        m.d.comb += [
            port.valid.eq(waits | self._anything(m, f"{name}_valid", port.valid)),
            payload.eq(Mux(waits, waiting, anything)),
        ]
        m.d.sync += [waits.eq(port.valid & ~port.ready), waiting.eq(payload)]


@dataclass(frozen=True)
class StreamRules:
    """The streams that a `StreamBench` takes from its block keep the rules.

    Memories are taken out of the design unless what holds follows from what is in them. A broken
    copy is refuted by runs from reset, with anything given.
    """

    takes_memories_out: bool = True
    words: str = "unbounded, induction and self-composition"
    runs: int = 256
    cycles: int = 2000

    def check(self, design: StreamBench, folder: Path) -> Finding:
        fragment = Fragment.get(design, None)
        memories = Memories(fragment) if self.takes_memories_out else None
        ports = [*design.ports, *(memories.ports if memories else ())]
        netlist = translate(fragment, ports, folder)
        if early := [name for name in design.names if _follows_at_once(netlist, name)]:
            return Finding(Verdict.UNKNOWN, f"valid follows from ready: {', '.join(early)}")
        search = Search(netlist, folder, memories.columns if memories else ())
        if broken := search.broken_invariants():
            return Finding(Verdict.UNKNOWN, f"not invariant: {', '.join(broken)}")
        holds = partial(_holds, netlist, design.before, folder)
        if loose := [name for name in design.names if not holds(name)]:
            return Finding(Verdict.UNKNOWN, f"not shown to hold: {', '.join(loose)}")
        if unequal := search.unequal():
            return Finding(Verdict.UNKNOWN, f"not shown equal: {', '.join(sorted(set(unequal)))}")
        return Finding(Verdict.HOLDS, f"{len(design.names)} streams")

    def refute(self, design: StreamBench, folder: Path) -> Finding:
        netlist = translate(Fragment.get(design, None), design.ports, folder)
        pair = _Pair(netlist, design.names, self.runs)
        for cycle in range(self.cycles):
            if broken := pair.step():
                return Finding(Verdict.FAILS, f"{broken}, cycle {cycle}")
        return Finding(Verdict.UNKNOWN, "no rule was broken in these runs")


class _Pair:
    """Two copies that get the same, but another ready where valid is low: many runs from reset."""

    def __init__(self, netlist: Netlist, names: Sequence[str], runs: int):
        self._net = netlist
        self._names = names
        self._runs = runs
        self._step = netlist.compiled()
        self._random = random.Random(1)
        self._left = self._right = [0] * len(netlist.registers)
        outputs = {pair: index for index, pair in enumerate(netlist.outputs)}
        self._valid = {name: outputs[f"equal_valid_{name}", 0] for name in names}
        self._payload = {
            name: [i for (port, _), i in outputs.items() if port == f"equal_payload_{name}"]
            for name in names
        }
        self._ready = {name: netlist.inputs.index((f"ready_{name}", 0)) for name in names}
        # Runs in which it was valid and not taken in the cycle before, and what was.
        self._waits = dict.fromkeys(names, 0)
        self._before: dict[str, list[int]] = {name: [] for name in names}

    def step(self) -> str:
        """A cycle; which rule it broke, if any."""
        ones = (1 << self._runs) - 1
        inputs = [self._random.getrandbits(self._runs) for _ in self._net.inputs]
        self._left, given = self._step(inputs, self._left, ones)
        others = list(inputs)
        for name, ready in self._ready.items():
            others[ready] ^= self._random.getrandbits(self._runs) & ~given[self._valid[name]]
        self._right, other_given = self._step(others, self._right, ones)
        for name in self._names:
            valid, payload = given[self._valid[name]], [given[i] for i in self._payload[name]]
            if any(given[i] != other_given[i] for i in (self._valid[name], *self._payload[name])):
                return f"{name} waits for ready"
            waits = self._waits[name]
            if waits and (
                waits & ~valid
                or any(waits & (a ^ b) for a, b in zip(payload, self._before[name], strict=True))
            ):
                return f"{name} does not hold"
            self._waits[name] = valid & ~inputs[self._ready[name]] & ones
            self._before[name] = payload
        return ""


def _outputs(netlist: Netlist, name: str) -> tuple[int, list[int]]:
    """Literals of a stream's valid, and of its payload."""
    literals = dict(zip(netlist.outputs, netlist.given, strict=True))
    payload = [x for (port, _), x in literals.items() if port == f"equal_payload_{name}"]
    return literals[f"equal_valid_{name}", 0], payload


def _follows_at_once(netlist: Netlist, name: str) -> bool:
    """Whether valid or payload follows from ready in the same cycle."""
    ready = 1 + netlist.inputs.index((f"ready_{name}", 0))
    reached = {ready}
    for number, (a, b) in enumerate(netlist.gates, netlist.first_gate):
        if a >> 1 in reached or b >> 1 in reached:
            reached.add(number)
    valid, payload = _outputs(netlist, name)
    return any(literal >> 1 in reached for literal in (valid, *payload))


def _holds(netlist: Netlist, before: int, folder: Path, name: str) -> bool:
    """Whether valid and payload stay as they are if ready is low, by induction.

    That is in the cycles after reset, and in any state that others come ``before``.
    """
    return all(
        _holds_in(netlist, name, folder, cycles, at_reset)
        for cycles, at_reset in [*((i, True) for i in range(before)), (before, False)]
    )


def _holds_in(netlist: Netlist, name: str, folder: Path, cycles: int, at_reset: bool) -> bool:
    gates = Gates()
    registers = [0] * len(netlist.registers) if at_reset else gates.new(len(netlist.registers))
    held: list[int] = []

    def cycle():
        """What the next cycle has, and its inputs; invariants are held in it."""
        nonlocal registers
        inputs = gates.new(len(netlist.inputs))
        values = gates.copy(netlist, inputs, registers)
        registers = [values(literal) for literal in netlist.following]
        for (port, _), literal in zip(netlist.outputs, netlist.given, strict=True):
            if port.startswith("invariant_"):
                held.append(values(literal))
        return values, inputs

    for _ in range(cycles):
        cycle()
    now, inputs = cycle()
    then, _ = cycle()
    valid, payload = _outputs(netlist, name)
    ready = inputs[netlist.inputs.index((f"ready_{name}", 0))]
    pairs = [(then(valid), 1), *((now(x), then(x)) for x in payload)]
    return gates.differ(pairs, [*held, now(valid), ready ^ 1], folder) is None
