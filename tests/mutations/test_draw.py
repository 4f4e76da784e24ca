"""Which mutants are drawn: the same ones, also where other cells come and go."""

from mutations.draw import Draw, draw_mutants


def gate(name, block="verdict", kind="and", b="\\b"):
    return f"""  cell ${kind} $flatten\\core.\\engine.\\{block}.{name}
    connect \\A \\a
    connect \\B {b}
    connect \\CLK \\clk
    connect \\Y \\y
  end
"""


def netlist(*gates):
    wires = "  wire width 4 \\a\n  wire \\b\n  wire width 4 output 1 \\y\n  wire \\clk\n"
    return f"module \\top\n{wires}{''.join(gates)}end\n"


GATES = [gate(f"${number}", kind=("and", "or", "xor")[number % 3]) for number in range(30)]


def changes(mutants):
    """What they are, but for their numbers and the names of cells."""
    return {(m.mode, m.cell_type, m.port, m.bit, m.other_bit, m.block) for m in mutants}


def test_seeds_draw_the_same_mutants_again_and_others():
    first, again, other = (draw_mutants(netlist(*GATES), [Draw(10, seed)]) for seed in (1, 1, 2))
    assert first == again
    assert changes(first) != changes(other)
    assert [mutant.number for mutant in first] == list(range(1, 11))


def test_another_cell_changes_little_of_what_is_drawn():
    before = draw_mutants(netlist(*GATES), [Draw(20, 1)])
    after = draw_mutants(netlist(gate("$new", kind="not"), *GATES), [Draw(20, 1)])
    assert len({m.cell + m.port for m in before} & {m.cell + m.port for m in after}) >= 18


def test_clocks_and_constants_are_left_out_and_conditions_are_of_another_bit():
    gates = [gate(f"${number}", b="1'1") for number in range(40)]
    mutants = draw_mutants(netlist(*gates), [Draw(1_000, 1)])
    # Of 4 bits 3 are drawn.
    assert len(mutants) == 40 * (3 + 3)
    assert {mutant.port for mutant in mutants} == {"A", "Y"}
    assert {mutant.mode for mutant in mutants} == {"inv", "const0", "const1", "cnot0", "cnot1"}
    for mutant in mutants:
        assert (mutant.bit == mutant.other_bit) is not mutant.mode.startswith("cnot")


def test_blocks_are_meant_by_the_beginnings_of_their_names():
    gates = [gate("$1", "tag"), gate("$2", "tags"), gate("$3", "egress"), gate("$4", "aes")]
    mutants = draw_mutants(netlist(*gates), [Draw(1_000, 1, ("tag", "egress"))])
    assert {mutant.block for mutant in mutants} == {"engine.tag", "engine.tags", "engine.egress"}


def test_draws_follow_each_other():
    mutants = draw_mutants(netlist(*GATES), [Draw(5, 1), Draw(5, 1, ("verdict",))])
    assert [mutant.number for mutant in mutants] == list(range(1, 11))
    assert changes(mutants[:5]) == changes(mutants[5:])
