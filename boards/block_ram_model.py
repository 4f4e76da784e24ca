"""The block RAMs of an ECP5 as Verilog for simulation: DP16KD and PDPW16KD.

Yosys has models of the other cells of an ECP5, and of these only the ports. What they do is taken
from the programs that make bitstreams with them:

- Yosys, techlibs/lattice/brams_16kd.txt: what a port gives that writes, by WRITEMODE: what it gave
  before (NORMAL), the new word (WRITETHROUGH) or the old one (READBEFOREWRITE); 9 bits a byte;
  outputs are 0 at first.
- Yosys, techlibs/lattice/brams_map_16kd.v: 18 bits of each 20 of INITVAL are a word; words of 18
  and 36 bits have byte enables in the lowest bits of the writing port's address; of a DP16KD with
  36 bits, port A writes and port B reads, bits 17:0 at DIA and DOA, 35:18 at DIB and DOB.
- nextpnr, ecp5/pack.cc, pack_ebr: which pins of a PDPW16KD are which of a DP16KD. Its outputs are
  the other way round: DO17 to DO0 are bits 35:18.

With OUTREG there is one more register behind the output, whose clock enable is OCE. The reset of
outputs is not modelled: no netlist here uses it, and one that does ends the simulation. On devices,
reads of a port whose reset comes from logic have given zeros
(https://github.com/thejefflarson/little-cpu/pull/272).
"""

from collections.abc import Iterable

__all__ = ["block_ram_cells"]

_INITIAL = [f"INITVAL_{row:02X}" for row in range(0x40)]

#: Both ports have words of the same width here, and clocks their rising edge. What else a cell can
#: be told and this does not do leads to a module that does not exist, and so to an error.
#:
#: A read of what the other port writes at the same edge is undefined. It gives the complement of
#: what was there, so that a design that relies on it does not work.
_EBR = """
module intaglio_ebr #(
    parameter WIDTH = 18,
    parameter WIDTH_B = 18,
    parameter [0:0] PLAIN = 1,
    parameter REGMODE_A = "NOREG",
    parameter REGMODE_B = "NOREG",
    parameter WRITEMODE_A = "NORMAL",
    parameter WRITEMODE_B = "NORMAL",
    parameter [64*320-1:0] INIT = 0
) (
    input CLKA, CEA, OCEA, WEA, RSTA, CLKB, CEB, OCEB, WEB, RSTB,
    input [2:0] CSA, CSB,
    input [13:0] ADA, ADB,
    input [17:0] DIA, DIB,
    output [17:0] DOA, DOB
);
    // An address counts bits, without the ninth of each byte. Below it stand byte enables.
    localparam LOW = WIDTH == 36 ? 5 : WIDTH == 18 ? 4 : WIDTH == 9 ? 3
        : WIDTH == 4 ? 2 : WIDTH == 2 ? 1 : 0;
    localparam DEPTH = 1 << (14 - LOW);
    localparam BYTE = WIDTH < 9 ? 8 : 9;
    generate
        if (WIDTH != WIDTH_B || !PLAIN) intaglio_ebr_is_not_modelled_with_these_parameters error();
    endgenerate

    reg [WIDTH-1:0] memory [0:DEPTH-1];

    // INIT has 18-bit words of two bytes, each in 20 bits.
    integer n;
    generate
        if (INIT == 0) ;
        else if (WIDTH == 36) initial for (n = 0; n < DEPTH; n = n + 1)
            memory[n] = {INIT[40 * n + 20 +: 18], INIT[40 * n +: 18]};
        else if (WIDTH == 18) initial for (n = 0; n < DEPTH; n = n + 1)
            memory[n] = INIT[20 * n +: 18];
        else initial for (n = 0; n < DEPTH; n = n + 1)
            memory[n] = INIT[n * WIDTH / BYTE / 2 * 20 + n * WIDTH / BYTE % 2 * 9
                             + n * WIDTH % BYTE +: WIDTH];
    endgenerate

    wire [13-LOW:0] word_a = ADA[13:LOW], word_b = ADB[13:LOW];
    wire [35:0] bytes_a = {{9{ADA[3]}}, {9{ADA[2]}}, {9{ADA[1]}}, {9{ADA[0]}}};
    wire [35:0] bytes_b = {{9{ADB[3]}}, {9{ADB[2]}}, {9{ADB[1]}}, {9{ADB[0]}}};
    wire enable_a = CEA & ~|CSA, enable_b = CEB & ~|CSB;
    wire [WIDTH-1:0] mask_a = enable_a & WEA ? (WIDTH >= 18 ? bytes_a : ~36'd0) : 36'd0;
    wire [WIDTH-1:0] mask_b = enable_b & WEB ? (WIDTH == 18 ? bytes_b : ~36'd0) : 36'd0;
    wire [WIDTH-1:0] given_a = WIDTH == 36 ? {DIB, DIA} : DIA, given_b = DIB;
    wire same = word_a == word_b;

    wire [WIDTH-1:0] old_a = memory[word_a], old_b = memory[word_b];
    wire [WIDTH-1:0] new_a = (old_a & ~mask_a) | (given_a & mask_a);
    wire [WIDTH-1:0] new_b = (old_b & ~mask_b) | (given_b & mask_b);
    always @(posedge CLKA) if (|mask_a) memory[word_a] <= new_a;
    always @(posedge CLKB) if (|mask_b) memory[word_b] <= new_b;

    reg [35:0] latch_a = 0, latch_b = 0, register_a = 0, register_b = 0;
    always @(posedge CLKA) begin
        if (enable_a & (~WEA | WRITEMODE_A != "NORMAL"))
            latch_a <= (WRITEMODE_A == "WRITETHROUGH" ? new_a : old_a) ^ (same ? mask_b : 36'd0);
        if (OCEA) register_a <= latch_a;
        if (RSTA) $fatal(1, "the reset of a block RAM is not modelled");
    end
    always @(posedge CLKB) begin
        if (enable_b & (~WEB | WRITEMODE_B != "NORMAL"))
            latch_b <= (WRITEMODE_B == "WRITETHROUGH" ? new_b : old_b) ^ (same ? mask_a : 36'd0);
        if (OCEB) register_b <= latch_b;
        if (RSTB) $fatal(1, "the reset of a block RAM is not modelled");
    end
    wire [35:0] out_a = REGMODE_A == "OUTREG" ? register_a : latch_a;
    wire [35:0] out_b = REGMODE_B == "OUTREG" ? register_b : latch_b;
    assign DOA = WIDTH == 36 ? out_b[17:0] : out_a[17:0];
    assign DOB = WIDTH == 36 ? out_b[35:18] : out_b[17:0];
endmodule
"""


def block_ram_cells() -> str:
    """Verilog of DP16KD and PDPW16KD, to be read after the ports of Yosys."""
    return _EBR + _dp16kd() + _pdpw16kd()


def _dp16kd() -> str:
    inputs, outputs, connections = [], [], []
    for port in "AB":
        inputs += [f"{name}{port}" for name in ("CLK", "CE", "OCE", "WE", "RST")]
        connections += [f".{name}({name})" for name in inputs[-5:]]
        for name, width in (("CS", 3), ("AD", 14), ("DI", 18)):
            inputs += _bits(f"{name}{port}", width)
            connections.append(_connection(f"{name}{port}", _bits(f"{name}{port}", width)))
        outputs += _bits(f"DO{port}", 18)
        connections.append(_connection(f"DO{port}", _bits(f"DO{port}", 18)))
    modes = {
        f"{name}_{port}": default
        for port in "AB"
        for name, default in (("REGMODE", "NOREG"), ("WRITEMODE", "NORMAL"))
    }
    plain = {
        "CSDECODE_A": "0b000",
        "CSDECODE_B": "0b000",
        "CLKAMUX": "CLKA",
        "CLKBMUX": "CLKB",
    }
    return _cell(
        "DP16KD",
        (inputs, outputs),
        {"DATA_WIDTH_A": 18, "DATA_WIDTH_B": 18, **modes, **plain},
        plain,
        [".WIDTH(DATA_WIDTH_A)", ".WIDTH_B(DATA_WIDTH_B)", *(f".{m}({m})" for m in modes)],
        connections,
    )


def _pdpw16kd() -> str:
    data_in, data_out = _bits("DI", 36), _bits("DO", 36)
    selects = {name: _bits(name, 3) for name in ("CSW", "CSR")}
    enables, write, read = _bits("BE", 4), _bits("ADW", 9), _bits("ADR", 14)
    single = ["CLKW", "CEW", "CLKR", "CER", "OCER", "RST"]
    plain = {
        "CSDECODE_W": "0b000",
        "CSDECODE_R": "0b000",
        "CLKWMUX": "CLKW",
        "CLKRMUX": "CLKR",
    }
    connections = [
        *(".CLKA(CLKW)", ".CEA(CEW)", ".OCEA(1'b1)", ".WEA(1'b1)", ".RSTA(RST)"),
        *(".CLKB(CLKR)", ".CEB(CER)", ".OCEB(OCER)", ".WEB(1'b0)", ".RSTB(RST)"),
        _connection("CSA", selects["CSW"]),
        _connection("CSB", selects["CSR"]),
        _connection("ADA", [*enables, "1'b0", *write]),
        _connection("ADB", read),
        _connection("DIA", data_in[:18]),
        _connection("DIB", data_in[18:]),
        _connection("DOA", data_out[18:]),
        _connection("DOB", data_out[:18]),
    ]
    inputs = [*single, *enables, *write, *read, *selects["CSW"], *selects["CSR"], *data_in]
    return _cell(
        "PDPW16KD",
        (inputs, data_out),
        {"DATA_WIDTH_W": 36, "DATA_WIDTH_R": 36, "REGMODE": "NOREG", **plain},
        plain,
        [".WIDTH(DATA_WIDTH_W)", ".WIDTH_B(DATA_WIDTH_R)", ".REGMODE_B(REGMODE)"],
        connections,
    )


def _cell(name, ports, parameters, plain, overrides, connections) -> str:
    """A module around `_EBR`; parameters that must have the values of ``plain`` are checked."""
    inputs, outputs = ports
    # How it is reset does not matter to a model without a reset, nor do the rest of these.
    ignored = {
        "GSR": "ENABLED",
        "RESETMODE": "SYNC",
        "ASYNC_RESET_RELEASE": "SYNC",
        "INIT_DATA": "STATIC",
        "WID": 0,
    }
    declared = [
        f"parameter {parameter} = {_literal(value)}"
        for parameter, value in {**parameters, **ignored}.items()
    ]
    declared += [f"parameter [319:0] {parameter} = 320'd0" for parameter in _INITIAL]
    checks = " && ".join(f"{key} == {_literal(value)}" for key, value in plain.items())
    initial = ", ".join(reversed(_INITIAL))
    overrides = [*overrides, f".PLAIN({checks})", f".INIT({{{initial}}})"]
    directions = [f"input {', '.join(inputs)}", f"output {', '.join(outputs)}"]
    return (
        f"\nmodule {name} #(\n{_lines(declared)})"
        f" (\n{_lines(directions)});\n"
        f"intaglio_ebr #(\n{_lines(overrides)}) ebr (\n{_lines(connections)});\nendmodule\n"
    )


def _bits(name: str, width: int) -> list[str]:
    return [f"{name}{bit}" for bit in range(width)]


def _connection(port: str, bits: Iterable[str]) -> str:
    """A port and what its bits, the lowest first, are connected to."""
    return f".{port}({{{', '.join(reversed(list(bits)))}}})"


def _lines(items: Iterable[str]) -> str:
    return ",\n".join(f"    {item}" for item in items)


def _literal(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
