"""The coverage points of random traffic: what is to happen at the accelerator's ports, as bins.

`cocotb_tests.sampling` says when a bin has been hit, and plan.toml why each point is there.
"""

from itertools import product

from cocotb_tests.monitor import HANDSHAKES
from driver.messages import Opcode, Status, Suite

__all__ = ["KINDS", "POINTS", "change_of_keys", "header_form", "pace", "under_way", "with_what"]

#: The opcodes that protect or open something.
KINDS = (Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN)
_RECORDS = (Opcode.SEAL, Opcode.OPEN)
_MESSAGES = (Opcode.AEAD_SEAL, Opcode.AEAD_OPEN)

_ANY = (Status.OK, Status.MALFORMED_REQUEST)
_OF_A_SLOT = (*_ANY, Status.NO_SUCH_SLOT)
_WITH_A_KEY = (*_OF_A_SLOT, Status.SLOT_EMPTY, Status.WRONG_USAGE, Status.TOO_LONG)
#: What each opcode may be answered (docs/contract.md, Statuses).
_ANSWERS = {
    Opcode.INFO: _ANY,
    Opcode.STATS: _ANY,
    Opcode.ZEROIZE: _OF_A_SLOT,
    Opcode.LOAD: (*_OF_A_SLOT, Status.UNSUPPORTED_SUITE),
    Opcode.SEAL: (*_WITH_A_KEY, Status.KEY_LIMIT),
    Opcode.OPEN: (
        *(*_WITH_A_KEY, Status.MALFORMED_RECORD, Status.WRONG_EPOCH, Status.REPLAYED),
        *(Status.TOO_OLD, Status.BAD_TAG, Status.KEY_LIMIT, Status.NO_CONTENT_TYPE),
    ),
    Opcode.AEAD_SEAL: _WITH_A_KEY,
    Opcode.AEAD_OPEN: (*_WITH_A_KEY, Status.BAD_TAG),
}
_CHANGES = ("LOAD", "ZEROIZE", "ZEROIZE of all slots")
_COUNTS = ("1", "2", "3", "4 to 7", "8 or more")
_CYCLES = ("0", "1", "2 to 7", "8 or more")


def pace(what: str, cycles: int) -> str:
    """The bin of so many cycles."""
    return f"{what} {_of_range(_CYCLES, cycles)}"


def under_way(count: int) -> str:
    """The bin of so many requests."""
    return _of_range(_COUNTS, count)


def _of_range(ranges: tuple[str, ...], value: int) -> str:
    """The last of ``ranges`` that begins at ``value`` or below it."""
    return next(name for name in reversed(ranges) if int(name.split()[0]) <= value)


def header_form(kind: str, flags: int) -> str:
    """The bin of a unified header with this first byte (RFC 9147, figure 3)."""
    bits = "".join(
        name if flags & bit else "-" for name, bit in (("C", 0x10), ("S", 0x08), ("L", 0x04))
    )
    return f"{kind} {bits}"


def change_of_keys(change: str, same_slot: bool, change_is_first: bool) -> str:
    """The bin of a change of keys and a record, the one behind the other."""
    where = "" if change == _CHANGES[-1] else " of its slot" if same_slot else " of another slot"
    return f"record behind {change}{where}" if change_is_first else f"{change} behind record{where}"


def with_what(first: str, second: str) -> str:
    """The bin of two messages, the second one behind the first."""
    return f"{second} behind {first}"


def _changes_of_keys() -> tuple[str, ...]:
    choices = product(_CHANGES, (True, False), (True, False))
    return tuple(dict.fromkeys(change_of_keys(*choice) for choice in choices))


def _each(kinds: tuple[Opcode, ...], *bins: object) -> tuple[str, ...]:
    return tuple(f"{kind.name} {bin_}" for kind, bin_ in product(kinds, bins))


_PAIRS = tuple(with_what(first.name, second.name) for first, second in product(KINDS, KINDS))

#: The bins of each point.
POINTS: dict[str, tuple[str, ...]] = {
    "answer": (
        *(f"{opcode.name} {status.name}" for opcode, all_ in _ANSWERS.items() for status in all_),
        *("other MALFORMED_REQUEST", "other UNKNOWN_OPCODE"),
    ),
    "record behind a refusal": tuple(status.name for status in Status if status),
    "framing": (
        *("right", "cut in the header", "cut in the payload", "longer than announced"),
        "reserved byte",
    ),
    "length modulo 16": _each(KINDS, *range(16)),
    "blocks": (*_each(KINDS, "one", "several", "most"), *_each(_MESSAGES, "none")),
    "associated data": _each(_MESSAGES, "none", "under a block", "one block", "more"),
    "padding": ("none", "1 to 15", "16 or more"),
    "header": tuple(
        header_form(kind.name, flags) for kind in _RECORDS for flags in range(0, 0x20, 4)
    ),
    "connection ID": _each(_RECORDS, "none", "1 byte", "2 to 19 bytes", "20 bytes"),
    "suite": (
        *_each(KINDS, *(suite.name for suite in Suite)),
        *("AES_128_GCM behind AES_256_GCM", "AES_256_GCM behind AES_128_GCM"),
    ),
    "slot": ("first", "last", "another"),
    "epoch": tuple(f"slot {low}, header +{more}" for low in range(4) for more in range(4)),
    "window": (
        *("next", "ahead, within a window's width", "ahead, further than that"),
        *("newest again", "inside, new", "inside again", "oldest, new", "oldest again"),
        *("first one left of it", "further left"),
    ),
    "number": (
        *_each(_RECORDS, "8 bits, same above", "16 bits, same above"),
        *_each(_RECORDS, "8 bits, carry", "16 bits, carry", "last"),
        *("OPEN 8 bits, borrow", "OPEN 16 bits, borrow"),
    ),
    "directly behind": _PAIRS,
    "under way together": _PAIRS,
    "under way in a slot": _COUNTS,
    "under way in all": _COUNTS,
    "change of keys": _changes_of_keys(),
    "change of keys under way": _changes_of_keys(),
    "request bytes modulo 16": tuple(map(str, range(16))),
    "completion bytes modulo 16": tuple(map(str, range(16))),
    "request pace": tuple(
        f"{what} {cycles}" for what in ("pause", "idle", "waited") for cycles in _CYCLES
    ),
    "completion pace": tuple(f"waited {cycles}" for cycles in _CYCLES),
    "ports": tuple(
        f"requests {first}, completions {second}"
        for first, second in product(HANDSHAKES, HANDSHAKES)
    ),
}
