"""What may be known of LOAD's payload, the same in two copies of a design."""

from amaranth.hdl import Value
from amaranth.lib import data

from proofs.independence import Copy

__all__ = ["public_load"]


class _PublicFields:
    """A structure some of whose fields are given where they are read."""

    def __init__(self, view, **given: Value):
        self._view, self._given = view, given

    def eq(self, value):
        return self._view.eq(value)

    def __getattr__(self, name: str):
        return self._given[name] if name in self._given else getattr(self._view, name)


def public_load(copy: Copy, load, **others: Value) -> _PublicFields:
    """LOAD's payload ``load``, with inputs of ``copy`` in place of fields that are no secret.

    Those are the suite, the usage, the form, the length of the connection ID and the first number.
    """
    names = ("suite", "usage", "form", "connection_id_bytes")
    given = {name: copy.shared(f"load_{name}", 8) for name in names}
    number = data.View(data.ArrayLayout(8, 6), copy.shared("load_number", 48))
    return _PublicFields(load, sequence_number=number, **given, **others)
