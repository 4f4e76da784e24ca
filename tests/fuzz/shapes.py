"""The structure of what the parsers read, and mutations that keep it but for one lie.

A shape says how bytes divide: ``3`` is a field of three bytes, `Vec(2, ...)` a vector behind its
length in two bytes, ``REST`` all that is left. `split` makes a tree of a valid encoding, `damaged`
changes the tree and encodes it again with lengths that fit, except where it lies about one.

Shapes are written from the standards and know nothing of the code under test. ``chance`` is a
`random.Random`: hypothesis has one that shrinks; sessions, whose keys differ each time, take one
with a seed.
"""

from dataclasses import dataclass, field
from random import Random

REST = "rest"


@dataclass(frozen=True)
class Vec:
    """A vector: ``items`` is the shape of one element, which repeats; () for opaque bytes."""

    length_size: int
    items: tuple = ()


@dataclass
class Node:
    """A field (``data``) or a vector of parts; ``lie`` is added to the length before it."""

    data: bytes = b""
    length_size: int = 0
    parts: list["Node"] = field(default_factory=list)
    lie: int = 0

    def encode(self) -> bytes:
        content = b"".join(part.encode() for part in self.parts) if self.parts else self.data
        if not self.length_size:
            return content
        limit = 1 << 8 * self.length_size
        return ((len(content) + self.lie) % limit).to_bytes(self.length_size, "big") + content

    def nodes(self) -> list["Node"]:
        return [self, *(below for part in self.parts for below in part.nodes())]


def split(shape: tuple, data: bytes) -> Node:
    """The tree of an encoding that has the shape."""
    parts, rest = _split(shape, data)
    assert not rest, f"{len(rest)} bytes are left of {data.hex()}"
    return Node(parts=parts)


def _split(shape: tuple, data: bytes) -> tuple[list[Node], bytes]:
    parts = []
    for step in shape:
        if step == REST:
            parts.append(Node(data))
            data = b""
        elif isinstance(step, Vec):
            size = step.length_size
            end = size + int.from_bytes(data[:size], "big")
            parts.append(_vector(step, data[size:end]))
            data = data[end:]
        else:
            parts.append(Node(data[:step]))
            data = data[step:]
    return parts, data


def _vector(vec: Vec, content: bytes) -> Node:
    node = Node(length_size=vec.length_size)
    if not vec.items:
        node.data = content
        return node
    while content:
        parts, content = _split(vec.items, content)
        node.parts.append(Node(parts=parts))
    return node


INTERESTING = [b"", b"\0", b"\1", b"\xff", b"\0\0", b"\xff\xff", b"\xff\xff\xff", bytes(16)]
LIES = [-1, 1, 2, 255, -2, 1 << 15, -(1 << 15)]
#: What is added to a number: mostly little, since it is the bounds that parsers get wrong.
NUDGES = [-3, -2, -1, 1, 2, 3, 255, 1 << 15]


def damaged(chance: Random, shape: tuple, seed: bytes, most: int = 3) -> bytes:
    """A valid encoding with up to ``most`` changes of its structure, and at times of its bytes."""
    tree = split(shape, seed)
    for _ in range(chance.randint(1, most)):
        _damage(chance, tree)
    data = tree.encode()
    return scratched(chance, data) if chance.random() < 0.25 else data


def _damage(chance: Random, tree: Node) -> None:
    node = chance.choice(tree.nodes())
    what = chance.choice(["data", "nudge", "nudge", "lie", "drop", "repeat", "swap"])
    if what == "lie":
        node.lie = chance.choice(LIES)
    elif what == "nudge" and node.data:
        number = int.from_bytes(node.data, "big") + chance.choice(NUDGES)
        node.data = (number % (1 << 8 * len(node.data))).to_bytes(len(node.data), "big")
    elif what == "data" or not node.parts:
        node.parts = []
        node.data = _some_bytes(chance, 40)
    else:
        _rearrange(chance, node.parts, what)


def _rearrange(chance: Random, parts: list[Node], what: str) -> None:
    at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    if what == "drop":
        del parts[at]
    elif what == "repeat":
        parts.insert(at, parts[at])
    else:
        parts[at], parts[other] = parts[other], parts[at]


def scratched(chance: Random, data: bytes) -> bytes:
    """Bytes changed, cut off, cut out, doubled or put in, whatever they mean."""
    start = chance.randint(0, len(data))
    stop = chance.randint(start, min(len(data), start + 8))
    middle = chance.choice(
        [
            _some_bytes(chance, 8),
            data[start:stop] * 2,
            bytes(byte ^ 1 << chance.randrange(8) for byte in data[start:stop]),
        ]
    )
    return data[:start] + middle + chance.choice([data[stop:], data[stop:], b"", data])


def _some_bytes(chance: Random, most: int) -> bytes:
    return chance.choice([chance.choice(INTERESTING), chance.randbytes(chance.randint(0, most))])
