"""Broken copies: modules that are loaded with one piece of their source replaced."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from proofs.property import Mutant

__all__ = ["install"]


class _BrokenLoader(importlib.machinery.SourceFileLoader):
    """Compiles the changed source, past the cache of compiled modules."""

    def __init__(self, mutant: Mutant, path: str):
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        found = source.count(self._mutant.old)
        if found != 1:
            raise ValueError(f"{fullname} contains {self._mutant.old!r} {found} times, not once")
        return compile(source.replace(self._mutant.old, self._mutant.new), self.path, "exec")


class _BrokenFinder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant):
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {fullname} to break", name=fullname)
        spec.loader = _BrokenLoader(self._mutant, spec.origin)
        return spec


def install(mutant: Mutant) -> None:
    """From now on, imports of the module get the broken copy; also those of modules that use it.

    Raises ValueError if the module has been imported already.
    """
    if mutant.module in sys.modules:
        raise ValueError(f"{mutant.module} has been imported already")
    sys.meta_path.insert(0, _BrokenFinder(mutant))
