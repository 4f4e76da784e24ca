"""Registers that stay 0 are found, and no others."""

from proofs.constants import zeros
from proofs.netlist import Netlist


def netlist(following: list[int], gates: list[tuple[int, int]]) -> Netlist:
    """With one input, variable 1; the registers are 2 and up, and then the gates."""
    names = [("register", bit) for bit in range(len(following))]
    return Netlist([("input", 0)], names, [], following, [], gates)


def test_a_register_that_an_input_reaches_may_be_anything() -> None:
    # 2 takes the input, and 3 what 2 is; 4 keeps itself.
    assert zeros(netlist([2, 4, 8], [])) == {4}


def test_a_gate_with_a_zero_is_zero() -> None:
    # 2 takes gate 4: the input and register 3, which keeps itself.
    assert zeros(netlist([8, 6], [(2, 6)])) == {2, 3}
    # Inverted, it is one.
    assert zeros(netlist([9, 6], [(2, 6)])) == {3}


def test_what_is_never_true_is_taken_to_be_zero() -> None:
    # 2 takes gate 4, of the input and the inverted register 3.
    assert zeros(netlist([8, 6], [(2, 7)]), [8]) == {2, 3}
    assert zeros(netlist([8, 6], [(2, 7)])) == {3}


def test_what_is_read_of_a_memory_is_zero_as_long_as_zeros_are_written() -> None:
    # The input is what is read; register 3 is written, and takes the input.
    assert zeros(netlist([2, 2], []), memories=[([6], [1])]) == {1, 2, 3}
    # Register 2 is written, which becomes one.
    assert zeros(netlist([1, 2], []), memories=[([4], [1])]) == set()
