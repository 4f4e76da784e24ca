"""Memories of two copies of a design, taken out of it, whatever their size.

What a memory gives is an input instead. It is the same in both copies if all that was ever written
is, and the address. That is kept track of bit by bit of the words: a bit of all words may be
public, as a packet's length is, while another is secret.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Fragment, MemoryInstance, Module, Mux, Signal, Value

__all__ = ["Column", "Memories"]


@dataclass(frozen=True)
class Column:
    """One bit of all words of a memory; pairs are the name of a port of the design, and its bit.

    The copies agree on it as long as they agree on ``written``, which says what is written when.
    Each of ``read`` is an input, and where it was read: they agree on it if they do on both.
    """

    written: tuple[tuple[str, int], ...]
    #: Of these, what is written: 0 where nothing is. None if the memory does not begin with zeros.
    data: tuple[tuple[str, int], ...]
    read: tuple[tuple[tuple[str, int], tuple[tuple[str, int], ...]], ...]


class Memories:
    """Takes the memories out of a fragment; `ports` are then inputs and outputs of the design.

    In a cycle in which a word is both read and written, what comes out is anything, but the same
    in both copies under the same conditions.
    """

    def __init__(self, fragment: Fragment, tables: bool = True):
        """Those that are never written are `tables`."""
        self.ports: list[Signal] = []
        self.columns: list[Column] = []
        self._count = 0
        self._tables = tables
        self._visit(fragment)

    def _visit(self, fragment: Fragment) -> None:
        for index, (part, name, source) in enumerate(fragment.subfragments):
            if isinstance(part, MemoryInstance):
                if not (part._write_ports or self._tables):
                    continue
                fragment.subfragments[index] = self._replacement(part), name, source
            else:
                self._visit(part)

    def _port(self, m: Module, name: str, value: Value) -> list[tuple[str, int]]:
        """An output; its bits by name."""
        port = Signal(len(value), name=name)
        self.ports.append(port)
        m.d.comb += port.eq(value)
        return [(name, bit) for bit in range(len(value))]

    def _replacement(self, memory: MemoryInstance) -> Fragment:
        m = Module()
        name = f"memory_{self._count}"
        self._count += 1
        writes = [self._write(m, f"{name}_write_{i}", x) for i, x in enumerate(memory._write_ports)]
        reads = [self._read(m, f"{name}_read_{i}", x) for i, x in enumerate(memory._read_ports)]
        begins_empty = writes and not any(memory._data.init)
        for bit in range(len(memory._read_ports[0]._data)):
            self.columns.append(
                Column(
                    tuple(pair for place, data in writes for pair in (*place, data[bit])),
                    tuple(data[bit] for _, data in writes if begins_empty),
                    tuple((data[bit], tuple(place)) for place, data in reads),
                )
            )
        return Fragment.get(m, None)

    def _write(self, m, name, port):
        """Where is written, if anything is, and what."""
        enables = Cat(enable.replicate(port._granularity) for enable in port._en)
        place = Cat(port._en, Mux(port._en.any(), port._addr, 0))
        return (
            self._port(m, f"{name}_place", place),
            self._port(m, f"{name}_data", port._data & enables),
        )

    def _read(self, m, name, port):
        """What is read is an input, and where it is read an output."""
        given = Signal(len(port._data), name=f"{name}_data")
        self.ports.append(given)
        if port._domain == "comb":
            m.d.comb += port._data.eq(given)
        else:
            with m.If(port._en):
                m.d[port._domain] += port._data.eq(given)
        place = Cat(port._en, Mux(port._en, port._addr, 0))
        return (
            self._port(m, f"{name}_place", place),
            [(given.name, bit) for bit in range(len(given))],
        )
