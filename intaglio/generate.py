"""`intaglio generate`: a profile, changed where the user says so, as Verilog."""

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import Enum
from importlib.metadata import version
from pathlib import Path

from hdl.aes.sbox import SBoxForm
from hdl.profile import PROFILES, AESCore, Profile
from hdl.verilog import Bus, generate_verilog
from intaglio.files import naming

__all__ = ["derive_profile", "write_verilog"]


def derive_profile(name: str, changes: Mapping[str, object]) -> Profile:
    """The profile of that name with some fields changed; None leaves a field as it is.

    Raises ValueError, naming the value, for an unknown name or a field out of its range.
    """
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is not one of {', '.join(PROFILES)}")
    fields = {field: value for field, value in changes.items() if value is not None}
    for field, choices in (("sbox", SBoxForm), ("aes", AESCore)):
        if field in fields:
            fields[field] = choices(fields[field])
    return replace(PROFILES[name], **fields)  # type: ignore[arg-type]


def write_verilog(
    profile: Profile, module: str, output: Path, bus: Bus = Bus.AXI4_STREAM
) -> dict[str, object]:
    """Write the Verilog and say what it is of, as JSON can hold it.

    Raises ValueError for a module name that Verilog does not take (IEEE 1364-2005, 3.7).
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", module):
        raise ValueError(f"module name {module!r} is not a Verilog identifier")
    text = generate_verilog(profile, module, bus)
    header = f"// {module}: Intaglio {version('intaglio')}, {bus.value}, {profile}\n"
    if output == Path("-"):
        sys.stdout.write(header + text)
    else:
        with naming(output):
            output.write_text(header + text)
        print(f"{output}: module {module}, profile {profile.name}, {text.count(chr(10))} lines")
    return {
        "module": module,
        "bus": bus.value,
        "output": str(output),
        "profile": {
            field: value.value if isinstance(value, Enum) else value
            for field, value in asdict(profile).items()
        },
    }
