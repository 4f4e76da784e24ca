"""One proof in a process of its own: `python -m proofs.worker MODULE NAME FOLDER [MUTANT]`.

It prints the finding as JSON. A mutant, as JSON too, breaks its module before the block is
imported; then the property is refuted instead of proved.
"""

import importlib
import json
import sys
from pathlib import Path

from proofs.broken import install
from proofs.property import Mutant

__all__ = ["main"]


def main(module: str, name: str, folder: str, mutant: str | None = None) -> None:
    """Prove the property ``name`` of ``module``, or refute its broken copy."""
    if mutant:
        install(Mutant(**json.loads(mutant)))
    properties = importlib.import_module(module).PROPERTIES
    wanted = next(item for item in properties if item.name == name)
    if mutant:
        design = (wanted.broken_design or wanted.design)()
        finding = wanted.method.refute(design, Path(folder))
    else:
        finding = wanted.method.check(wanted.design(), Path(folder))
    print(json.dumps({"verdict": finding.verdict.name, "detail": finding.detail}))


if __name__ == "__main__":
    main(*sys.argv[1:])
