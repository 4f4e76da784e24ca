"""Registers that hold data, and that a reset leaves as they are."""

from amaranth.hdl import Signal, Value

__all__ = ["reset_less"]


def reset_less(port):
    """A signal to put in the place of ``port``, which a reset leaves as it is.

    For data that only counts beside a valid flag: ports as `wiring` makes them are reset, and a
    reset of all data is a net that leads to most registers of a design.
    """
    return Signal.like(port, name=Value.cast(port).name, reset_less=True)
