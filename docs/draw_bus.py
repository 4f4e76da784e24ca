"""Draw docs/img/axi4-lite.svg: a word written and STATUS read, as the simulator shows them.

::

    python docs/draw_bus.py
"""

from dataclasses import replace
from pathlib import Path

from amaranth.sim import Simulator

from hdl.accelerator import Accelerator
from hdl.axi4_lite import WORD_BYTES, AXI4LiteTop, Register
from hdl.profile import TINY

IMAGE = Path(__file__).with_name("img") / "axi4-lite.svg"

CYCLES = 9
#: What the processor drives: the signal, the cycles, the value.
DRIVEN = [
    ("awaddr", range(1, 3), Register.REQUEST),
    ("awvalid", range(1, 3), 1),
    ("wdata", range(1, 3), 0x0000_0001),
    ("wstrb", range(9), 0xF),
    ("wvalid", range(1, 3), 1),
    ("bready", range(9), 1),
    ("araddr", range(5, 6), Register.STATUS),
    ("arvalid", range(5, 6), 1),
    ("rready", range(9), 1),
]
DRAWN = ["awaddr", "awvalid", "awready", "wdata", "wvalid", "wready", "bresp", "bvalid"]
DRAWN += ["araddr", "arvalid", "arready", "rdata", "rresp", "rvalid"]
#: A bus means something only with this.
VALID = {"awaddr": "awvalid", "wdata": "wvalid", "bresp": "bvalid"}
VALID |= {"araddr": "arvalid", "rdata": "rvalid", "rresp": "rvalid"}

_LEFT, _TOP, _CYCLE, _LANE, _HIGH = 90, 44, 76, 30, 18
_STYLE = (
    "text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #1f2933 } "
    ".end { text-anchor: end } .mid { text-anchor: middle } "
    ".wave { fill: none; stroke: #0b69a3; stroke-width: 1.6 } "
    ".ours { fill: none; stroke: #9a6700; stroke-width: 1.6 } "
    ".edge { stroke: #d9dee4; stroke-width: 1 }"
)


def sample() -> dict[str, list[int]]:
    """The value of each signal in each cycle."""
    top = AXI4LiteTop(Accelerator(replace(TINY, bus_bytes=WORD_BYTES)))
    values: dict[str, list[int]] = {name: [] for name in DRAWN}

    async def drive(ctx):
        await ctx.tick().repeat(600)  # after reset every slot is wiped
        for cycle in range(CYCLES):
            for name, cycles, value in DRIVEN:
                ctx.set(getattr(top, f"s_axil_{name}"), value if cycle in cycles else 0)
            for name in DRAWN:
                values[name].append(ctx.get(getattr(top, f"s_axil_{name}")))
            await ctx.tick()

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return values


def draw() -> str:
    """The SVG file's text."""
    values = sample()
    width, height = _LEFT + CYCLES * _CYCLE + 12, _TOP + len(DRAWN) * _LANE + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>A word written to REQUEST, and STATUS read</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="10" fill="#fff"/>',
    ]
    for cycle in range(CYCLES + 1):
        x = _LEFT + cycle * _CYCLE
        lines.append(f'<path class="edge" d="M{x} {_TOP - 8}V{height - 8}"/>')
    lines += _lane("clk", _TOP - 30, _clock(_TOP - 30), "wave")
    for lane, name in enumerate(DRAWN):
        y = _TOP + lane * _LANE
        ours = name.endswith("ready") or name[0] in "br"
        style = "ours" if ours else "wave"
        if name in VALID:
            lines += _lane(name, y, "", style)
            lines += _bus(y, values[name], values[VALID[name]], style)
        else:
            lines += _lane(name, y, _bit(y, values[name]), style)
    return "\n".join([*lines, "</svg>", ""])


def _lane(name: str, y: int, path: str, style: str) -> list[str]:
    label = f'<text class="end" x="{_LEFT - 12}" y="{y + 14}">{name}</text>'
    return [label, f'<path class="{style}" d="{path}"/>'] if path else [label]


def _clock(y: int) -> str:
    half = _CYCLE // 2
    return f"M{_LEFT} {y + _HIGH}" + f"V{y}h{half}V{y + _HIGH}h{half}" * CYCLES


def _bit(y: int, values: list[int]) -> str:
    steps = "".join(f"V{y + _HIGH * (1 - value)}h{_CYCLE}" for value in values)
    return f"M{_LEFT} {y + _HIGH * (1 - values[0])}{steps}"


def _bus(y: int, values: list[int], valid: list[int], style: str) -> list[str]:
    """A box with its value for each run of cycles in which the bus means something."""
    lines, cycle = [], 0
    while cycle < CYCLES:
        end = cycle + 1
        if not valid[cycle]:
            cycle = end
            continue
        while end < CYCLES and valid[end] and values[end] == values[cycle]:
            end += 1
        x, width = _LEFT + cycle * _CYCLE, (end - cycle) * _CYCLE
        lines.append(f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{_HIGH}"/>')
        lines.append(
            f'<text class="mid" x="{x + width // 2}" y="{y + 14}">0x{values[cycle]:X}</text>'
        )
        cycle = end
    return lines


if __name__ == "__main__":
    IMAGE.write_text(draw())
