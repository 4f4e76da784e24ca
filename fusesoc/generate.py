"""FuseSoC's generator: reads the parameters, writes the Verilog and a core that contains it.

The protocol is FuseSoC's: the only argument is a YAML file with ``vlnv``, the name of the core to
write, and ``parameters``; files go to the current directory. FuseSoC has PyYAML, and runs this with
the interpreter that intaglio.core names.
"""

import sys
from pathlib import Path

import yaml

from hdl.verilog import Bus
from intaglio.generate import derive_profile, write_verilog


def main(path: str) -> None:
    """Write both files; an unknown parameter or value is one sentence and exit code 1."""
    asked = yaml.safe_load(Path(path).read_text())
    parameters = dict(asked["parameters"] or {})
    module = parameters.pop("module", "intaglio")
    try:
        bus = Bus(parameters.pop("bus", Bus.AXI4_STREAM.value))
        profile = derive_profile(parameters.pop("profile", "compact"), parameters)
        write_verilog(profile, module, Path(f"{module}.v"), bus)
    except (TypeError, ValueError) as error:
        sys.exit(f"intaglio: {error}")
    core = {
        "name": asked["vlnv"],
        "filesets": {"rtl": {"files": [f"{module}.v"], "file_type": "verilogSource"}},
        "targets": {"default": {"filesets": ["rtl"]}},
    }
    Path("generated.core").write_text("CAPI=2:\n" + yaml.safe_dump(core, sort_keys=False))


if __name__ == "__main__":
    main(sys.argv[1])
