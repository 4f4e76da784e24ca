"""Profiles: what can be chosen about an accelerator, in one place. Everything else is derived."""

from dataclasses import dataclass
from enum import Enum

from driver.messages import (
    AEAD_PREFIX_BYTES,
    CONNECTION_ID_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    Counter,
)
from hdl.aes.sbox import SBoxForm
from hdl.block import BLOCK_BYTES
from hdl.packet_stream import WIDTHS

__all__ = ["COMPACT", "FAST", "PROFILES", "TINY", "AESCore", "Profile"]

#: What AEAD messages may have beside a text of the largest record's length.
_ASSOCIATED_DATA_BYTES = 256
#: RFC 9147, 4: first byte, connection ID, 16-bit number, length.
LARGEST_HEADER = 1 + CONNECTION_ID_BYTES + 2 + 2


class AESCore(Enum):
    """How many rounds of AES there are in hardware; it decides about everything around the core."""

    #: A byte a cycle, a block at a time: 194 or 270 cycles each. One request at a time.
    SERIAL = "serial"
    #: One round in three stages, three blocks in it: 10 or 14 cycles each. Records overlap.
    RING = "ring"
    #: All rounds: a block a cycle. Records overlap.
    PIPELINED = "pipelined"


@dataclass(frozen=True)
class Profile:
    """The parameters of one accelerator; those of its cores are by default the smallest.

    Raises ValueError, naming the value, for a parameter out of its range.
    """

    #: What INFO calls it: up to 8 ASCII characters.
    name: str
    #: Keys resident at once, 2 or more; a connection takes two per epoch, one each direction.
    slots: int = 16
    #: Largest content of a record, in bytes (RFC 8446, 5.1 allows 2**14).
    largest_record: int = 1 << 14
    #: Width of the replay window, in records (RFC 9147, 4.5.1).
    window: int = 64
    #: How the S-boxes are built.
    sbox: SBoxForm = SBoxForm.COMPOSITE
    #: The rounds of AES in hardware.
    aes: AESCore = AESCore.SERIAL
    #: Bits of the multiplier that GHASH takes a cycle: 128 / digit cycles a block, and a few more.
    #: At most 8 with one request at a time, else 4 or more, a table in block RAM for each 4. With
    #: 128 it is a pipeline and takes a block a cycle.
    ghash_digit: int = 1
    #: Bytes in a beat of the packet ports.
    bus_bytes: int = 1
    #: Records that one key may seal: 2**24.5 (RFC 8446, 5.5).
    seal_limit: int = 23_726_566
    #: Forgeries that one key may see: 2**36 (RFC 9147, 4.5.3).
    forgery_limit: int = 1 << 36
    #: What INFO gives as the identity of the build, 32 bits; 0 where nobody has asked for one.
    build: int = 0

    def __post_init__(self):
        if not (self.name.isascii() and 1 <= len(self.name) <= 8):
            raise ValueError(f"name is {self.name!r}, not 1 to 8 ASCII characters")
        _check("slots", self.slots, 2, 1 << 15)
        _check("largest_record", self.largest_record, 64, 1 << 14)
        _check("window", self.window, 2, 1 << 10)
        _check("seal_limit", self.seal_limit, 1, 23_726_566)
        _check("forgery_limit", self.forgery_limit, 1, 1 << 36)
        _check("build", self.build, 0, (1 << 32) - 1)
        # The serial engine's bytes come one a cycle at most: more multiplier would have no work.
        digits = (4, 8, 16, 32, 64, 128) if self.pipelined else (1, 2, 4, 8)
        if self.ghash_digit not in digits:
            raise ValueError(f"ghash_digit is {self.ghash_digit}, not one of {digits}")
        if self.bus_bytes not in WIDTHS:
            raise ValueError(f"bus_bytes is {self.bus_bytes}, not one of {WIDTHS}")
        if self.sbox is SBoxForm.BLOCK_RAM and not self.pipelined:
            raise ValueError("sbox is block-ram, which is for the AES cores ring and pipelined")

    @property
    def pipelined(self) -> bool:
        """Whether several requests are under way at once."""
        return self.aes is not AESCore.SERIAL

    @property
    def engine_bytes(self) -> int:
        """Bytes that the engine behind the packet ports takes at once."""
        return BLOCK_BYTES if self.pipelined else 1

    @property
    def completion_bytes(self) -> int:
        """Bytes of completions that it gives at once: where it has the time, as the ports do."""
        narrow = self.aes is AESCore.RING and self.bus_bytes > 1
        return self.bus_bytes if narrow else self.engine_bytes

    @property
    def largest_seal(self) -> int:
        """Longest payload of SEAL in bytes: content, type and padding (RFC 8446, 5.4)."""
        return self.largest_record + 1

    @property
    def largest_open(self) -> int:
        """Longest payload of OPEN in bytes: header and encrypted record."""
        return LARGEST_HEADER + self.largest_seal + TAG_BYTES

    @property
    def largest_aead(self) -> int:
        """Longest payload of AEAD_SEAL and AEAD_OPEN in bytes, prefix and tag included."""
        return AEAD_PREFIX_BYTES + _ASSOCIATED_DATA_BYTES + self.largest_record + TAG_BYTES

    @property
    def largest_completion(self) -> int:
        """Longest completion in bytes: of SEAL, AEAD_SEAL, or in small profiles of STATS."""
        return HEADER_BYTES + max(self.largest_open, self.largest_aead, 8 * len(Counter))

    @property
    def release_bytes(self) -> int:
        """Depth of the release buffer in bytes: the least power of two with room for one."""
        return 1 << (self.largest_completion - 1).bit_length()

    @property
    def queue_blocks(self) -> int:
        """Depth of the pipeline's block queues: a power of two with room for two messages."""
        longest = -(-self.largest_aead // 16) + 4
        return 1 << (2 * longest - 1).bit_length()


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, not in {least} .. {most}")


#: One of everything, and small: for an iCE40 UP5K.
TINY = Profile(
    "tiny",
    slots=4,
    largest_record=1 << 10,
    window=32,
    sbox=SBoxForm.COMPOSITE,
    aes=AESCore.SERIAL,
    ghash_digit=1,
    bus_bytes=1,
)

#: The engine of `FAST` around one round of AES, for a small ECP5: 10 (n + 2) cycles for a record of
#: n blocks under an AES-128 key, 14 (n + 2) under an AES-256 key.
COMPACT = Profile(
    "compact",
    slots=16,
    largest_record=1 << 11,
    sbox=SBoxForm.BLOCK_RAM,
    aes=AESCore.RING,
    ghash_digit=16,
    bus_bytes=4,
)

#: A block a cycle: n + 2 cycles for a record of n blocks, whatever comes before and after it.
FAST = Profile(
    "fast",
    slots=64,
    largest_record=1 << 11,
    sbox=SBoxForm.BLOCK_RAM,
    aes=AESCore.PIPELINED,
    ghash_digit=128,
    bus_bytes=16,
)

#: Profiles by name.
PROFILES = {profile.name: profile for profile in (TINY, COMPACT, FAST)}
