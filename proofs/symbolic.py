"""The stack's own Python functions as gateware: their integers are signals.

A function is called once for each way through its branches; each way's conditions choose its
result. So what a proof compares the gateware with is the code that the stack runs, not a copy.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from amaranth.hdl import Assert, Const, Module, Mux, Signal, Value

__all__ = ["Integer", "Ways", "run"]


@dataclass
class Ways:
    """Which branches are taken: first those of ``chosen``, then always the true one."""

    m: Module
    chosen: list[bool] = field(default_factory=list)
    conditions: list[Value] = field(default_factory=list)

    def branch(self, condition: Value) -> bool:
        if len(self.conditions) == len(self.chosen):
            self.chosen.append(True)
        taken = self.chosen[len(self.conditions)]
        self.conditions.append(condition.bool() if taken else ~condition.bool())
        return taken

    def here(self) -> Value:
        """Whether this is the way that is gone."""
        here = Const(1)
        for condition in self.conditions:
            here &= condition
        return here

    def next(self) -> bool:
        """Turn to the next way; False if there is none."""
        while self.chosen and not self.chosen[-1]:
            self.chosen.pop()
        if not self.chosen:
            return False
        self.chosen[-1] = False
        self.conditions.clear()
        return True


#: Bits of a number that is shifted by.
_SHIFT_BITS = 8


class Integer:
    """A signal that behaves as a Python integer, in the operations that the stack's code uses."""

    def __init__(self, value: Value, ways: Ways):
        self.value = Value.cast(value)
        self._ways = ways

    def _with(self, value: Value) -> "Integer":
        signal = Signal(value.shape())
        self._ways.m.d.comb += signal.eq(value)
        return Integer(signal, self._ways)

    def __add__(self, other):
        return self._with(self.value + _value(other))

    __radd__ = __add__

    def __sub__(self, other):
        return self._with(self.value - _value(other))

    def __rsub__(self, other):
        return self._with(_value(other) - self.value)

    def __neg__(self):
        return self._with(-self.value)

    def __and__(self, other):
        return self._with(self.value & _value(other))

    def __or__(self, other):
        return self._with(self.value | _value(other))

    __rand__, __ror__ = __and__, __or__

    def __mod__(self, other: int):
        """Modulo a power of two."""
        if other & (other - 1):
            raise ValueError(f"modulus {other} is not a power of two")
        return self._with(self.value[: other.bit_length() - 1])

    def __lshift__(self, other):
        return self._with(self.value << self._distance(other))

    def __rlshift__(self, other: int):
        return self._with(Const(other) << self._distance(self))

    def __rshift__(self, other):
        return self._with(self.value >> self._distance(other))

    def _distance(self, other):
        """The distance of a shift, which has `_SHIFT_BITS`; that it has no more is proved too."""
        value = _value(other)
        fits = (value >= 0) & (value < 1 << _SHIFT_BITS)
        self._ways.m.d.comb += Assert(~self._ways.here() | fits, "shifts are short")
        return value[:_SHIFT_BITS]

    def __lt__(self, other):
        return self._with(self.value < _value(other))

    def __le__(self, other):
        return self._with(self.value <= _value(other))

    def __gt__(self, other):
        return self._with(self.value > _value(other))

    def __ge__(self, other):
        return self._with(self.value >= _value(other))

    def __eq__(self, other):
        return self._with(self.value == _value(other))

    __hash__ = None

    def __bool__(self):
        return self._ways.branch(self.value)


def _value(number) -> Value:
    return number.value if isinstance(number, Integer) else Const(number)


def run(m: Module, function: Callable[[Ways], tuple]) -> list[Value]:
    """What ``function`` returns, a tuple of integers, in gates that are added to ``m``.

    It is called with the `Ways` that its `Integer` need.
    """
    ways = Ways(m)
    found = []
    while True:
        returned = [_value(number) for number in function(ways)]
        found.append((ways.here(), returned))
        if not ways.next():
            break
    results = found[-1][1]
    for here, returned in reversed(found[:-1]):
        results = [Mux(here, new, old) for new, old in zip(returned, results, strict=True)]
    return results
