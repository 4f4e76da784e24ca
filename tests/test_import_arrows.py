"""Who may import whom (docs/design.md), read off the source without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each room may import of the modules guarded below. A name admits what is under it.
ROOMS = {
    "driver": ("time",),
    "hdl": ("hdl", "driver.frames", "driver.messages", "amaranth"),
    "sim": ("sim", "hdl", "driver", "amaranth", "time"),
    "boards": ("boards", "hdl", "driver", "sim", "amaranth", "time"),
    "protocol": ("protocol",),
    "proofs": ("proofs", "hdl", "driver", "boards", "protocol", "amaranth", "time"),
    "mutations": ("mutations", "hdl", "driver", "sim", "boards", "amaranth", "time"),
    "cocotb_tests": ("cocotb_tests", "hdl", "driver", "protocol", "amaranth", "cocotb"),
    "intaglio": (
        *("intaglio", "protocol", "driver", "hdl", "sim", "boards"),
        *("amaranth", "asyncio", "socket", "time"),
    ),
}
# What single files may import on top of that.
FILES = {
    "protocol/crypto/accelerator.py": ("driver",),
    "protocol/asyncio/__init__.py": ("asyncio", "socket"),
    "protocol/asyncio/endpoint.py": ("asyncio", "socket"),
    "protocol/asyncio/path_mtu.py": ("socket",),
    "protocol/asyncio/session.py": ("asyncio",),
    "protocol/asyncio/udp.py": ("asyncio", "socket"),
}
# The rooms themselves; what only the gateware's side needs; what would make `protocol` do I/O.
GUARDED = {*ROOMS, "amaranth", "cocotb", "asyncio", "socket", "time"}


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Every module or name that `source`, a module of `package`, imports anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: -(level - 1) or None] if level else []
                origin = ".".join([*above, *filter(None, [module])])
                yield from (f"{origin}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module


def violations(path: str, source: str) -> list[str]:
    """The guarded modules that the file at `path` (from the root) imports and may not."""
    room, *_ = package = path.split("/")[:-1]
    allowed = (room, *ROOMS[room], *FILES.get(path, ()))
    return [
        module
        for module in imported_modules(source, ".".join(package))
        if module.split(".")[0] in GUARDED
        and not any(f"{module}.".startswith(f"{name}.") for name in allowed)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    found = {
        name: modules
        for file in sorted((ROOT / room).rglob("*.py"))
        if (modules := violations(name := file.relative_to(ROOT).as_posix(), file.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("protocol/record.py", "import hdl.gcm", ["hdl.gcm"]),
        ("protocol/record.py", "import os, driver", ["driver"]),
        ("protocol/record.py", "from amaranth.hdl import Module", ["amaranth.hdl.Module"]),
        ("protocol/record.py", "def f():\n    from sim import Simulation", ["sim.Simulation"]),
        ("protocol/record.py", "if x:\n    import_module('driver.link')", ["driver.link"]),
        ("protocol/record.py", "import time", ["time"]),
        ("protocol/crypto/accelerator.py", "from driver import Device", []),
        ("protocol/crypto/accelerator.py", "from . import suites", []),
        ("protocol/asyncio/udp.py", "import asyncio, socket", []),
        ("protocol/record.py", "import protocol.asyncio", []),
        ("hdl/slots.py", "from driver.messages import Load", []),
        ("hdl/slots.py", "from driver import messages", []),
        ("hdl/slots.py", "from driver import Device", ["driver.Device"]),
        ("hdl/aes/core.py", "from ..protocol import x", []),
        ("driver/device.py", "from driver.messages import Load\nimport hdl", ["hdl"]),
        ("sim/cxxrtl.py", "from boards import ice40\nimport ctypes", ["boards.ice40"]),
    ],
)
def test_the_check_sees_every_form_of_import(path: str, source: str, found: list[str]) -> None:
    assert violations(path, source) == found
