"""Wide choices, in as few LUTs as they take."""

from amaranth.hdl import Mux, Value

__all__ = ["choose", "choose_word"]


def choose(select: Value, choices: list[Value]) -> Value:
    """The one of ``choices``, a power of two, that ``select`` says.

    Four of them take two LUTs of four inputs a bit, where three are the obvious way: the first one
    also says which of the last two.
    """
    if len(choices) == 1:
        return choices[0]
    if len(choices) == 2:
        return Mux(select[0], choices[1], choices[0])
    if len(choices) > 4:
        half = len(choices) // 2
        low, high = choose(select[:-1], choices[:half]), choose(select[:-1], choices[half:])
        return Mux(select[-1], high, low)
    first = Mux(select[1], select[0].replicate(len(choices[0])), Mux(select[0], *choices[1::-1]))
    last = (first & choices[3]) | (~first & choices[2])
    return Mux(select[1], last, first)


def choose_word(value: Value, select: Value, width: int) -> Value:
    """What ``value.word_select(select, width)`` is, of a power of two of words."""
    return choose(select, [value[at : at + width] for at in range(0, len(value), width)])
