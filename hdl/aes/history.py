"""What travels beside a pipeline: values of the cycles before."""

from amaranth.hdl import Cat, Module, Signal, Value

__all__ = ["History"]


class History:
    """``history[n]`` is the value of ``n`` cycles ago, for n from 0 to ``cycles``.

    The past is one register, the newest value lowest, added to ``m``. With ``reset_less`` it is not
    cleared by a reset, for values that only count beside others.
    """

    def __init__(self, m: Module, name: str, value: Value, cycles: int, reset_less: bool = True):
        self._width = len(value)
        register = Signal(cycles * self._width, name=f"{name}_history", reset_less=reset_less)
        self._all = Cat(value, register)
        m.d.sync += register.eq(self._all)

    def __getitem__(self, cycles: int) -> Value:
        return self._all.word_select(cycles, self._width)
