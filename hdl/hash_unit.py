"""What every GHASH unit of a pipelined AES-GCM has in common: its ports and its model.

GHASH (SP 800-38D, 6.4) of the blocks X_0 to X_(m-1) under H is the sum of X_i * H**(m - i).
Horner's scheme computes it with one multiplication a block, each of which waits for the one before.
With k chains they need not wait. Block i has r = m - i blocks left, itself included, and is
multiplied by H**min(r, k). To block i >= k the product of block i - k is added first: H**k carries
that on to the next block of its chain. The products of the blocks with r <= k are final, and their
sum is the hash. So k multiplications can be under way at a time, and each block costs one, however
short the message.
"""

from collections.abc import Iterator
from typing import NamedTuple

from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.block import BLOCK_BYTES
from hdl.ghash import multiply

__all__ = [
    "ChainedBlock",
    "HashSignature",
    "chained_blocks",
    "hash_block_layout",
    "power_address_layout",
    "powers",
]


def hash_block_layout(power: ShapeLike) -> data.StructLayout:
    """A block of a message, and the ``power`` of H that it is multiplied by.

    That is H**min(r, k) for a block with r left, itself included, and k chains; or the number of
    the slot of H, in a unit that keeps tables. Blocks are in the byte order of `hdl.block`.
    ``final``: r <= k. ``last``: r = 1.
    """
    return data.StructLayout({"block": 128, "power": power, "final": 1, "last": 1})


def power_address_layout(powers: int, slots: int) -> data.StructLayout:
    """Where a power of H stands, of so many in each of so many slots."""
    return data.StructLayout({"power": range(powers), "slot": range(slots)})


class HashSignature(wiring.Signature):
    """The ports of a GHASH unit, seen from the unit; ``power`` is the shape of a power.

    ``blocks`` takes the blocks of messages, each message under an H of its own; the first one after
    reset and the one after a ``last`` begin a message. ``digests`` gives the hash of each message
    (a block), in order.

    A unit has the attributes ``chains``, the k of `hash_block_layout`; ``powers``, the words that
    it needs of each slot; ``interval``, the cycles from one block to the next at best; and
    ``latency``, the cycles from taking a ``last`` block to its digest.
    """

    def __init__(self, power: ShapeLike = 128):
        super().__init__(
            {
                "blocks": In(stream.Signature(hash_block_layout(power))),
                "digests": Out(stream.Signature(128, always_ready=True)),
            }
        )


def powers(h: bytes, chains: int) -> list[bytes]:
    """Model of the powers that a unit with ``chains`` chains needs: H to H**chains."""
    result = [h]
    while len(result) < chains:
        result.append(multiply(result[-1], h))
    return result


class ChainedBlock(NamedTuple):
    """`hash_block_layout` as a model has it: the power is given by its exponent."""

    block: bytes
    exponent: int
    final: bool
    last: bool


def chained_blocks(data: bytes, chains: int) -> Iterator[ChainedBlock]:
    """Model of what a unit with ``chains`` chains is given for a message.

    ``data`` is a whole number of blocks, and at least one.
    """
    if not data or len(data) % BLOCK_BYTES:
        raise ValueError(f"message of {len(data)} bytes is not one block or more")
    for offset in range(0, len(data), BLOCK_BYTES):
        left = (len(data) - offset) // BLOCK_BYTES
        block = data[offset : offset + BLOCK_BYTES]
        yield ChainedBlock(block, min(left, chains), final=left <= chains, last=left == 1)
