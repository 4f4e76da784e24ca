"""How many cycles a record takes when records come back to back: a model of both engines.

A record whose text (content and type) has n blocks of 16 bytes takes n + 2 blocks of AES (n of
counters, one for its tag: SP 800-38D, 7.1; one for the mask of its number: RFC 9147, 4.2.3), and
n + 2 of GHASH (its header, n of ciphertext, the lengths: SP 800-38D, 7.1).

The constants of the serial engine are counted in `tests/hdl/test_rate.py`, which holds every
formula of this file against the compiled gateware.
"""

from dataclasses import dataclass

from driver.messages import HEADER_BYTES, RECORD_NUMBER_BYTES, TAG_BYTES
from hdl.aes.core import rounds
from hdl.aes.serial import SerialAES
from hdl.block import BLOCK_BYTES
from hdl.profile import AESCore, Profile

__all__ = ["RECORD_HEADER_BYTES", "Record", "record_cycles"]

#: The header that records are taken to have, in bytes: first byte, 16-bit number, length; no
#: connection ID (RFC 9147, 4).
RECORD_HEADER_BYTES = 5

#: Serial engine: cycles that nothing below accounts for. Reading the request's header, the checks,
#: the nonce, the header of the completion, and the counters.
_SEAL_OVERHEAD = 54
#: Opening waits for 16 bytes that make the mask, and writes 8 of record number; sealing patches its
#: header instead.
_OPEN_OVERHEAD = 70


@dataclass(frozen=True)
class Record:
    """A record, and what is done with it."""

    #: Bytes of content, without its type; no padding.
    content: int
    #: Whether its keys are of AES-256; otherwise, of AES-128.
    aes256: bool = False
    #: Whether it is opened; otherwise, it is sealed.
    opens: bool = False

    @property
    def text(self) -> int:
        """Bytes of DTLSInnerPlaintext: content and type (RFC 9147, 4)."""
        return self.content + 1

    @property
    def blocks(self) -> int:
        """The blocks of 16 bytes that the text takes, the last one perhaps in part."""
        return -(-self.text // BLOCK_BYTES)


def record_cycles(profile: Profile, record: Record) -> int:
    """Clock cycles from one record to the next, if all are like this one and no port ever waits.

    Raises ValueError, naming the value, if the profile does not take records of that size.
    """
    if not 0 <= record.content <= profile.largest_record:
        raise ValueError(f"a record of {record.content} is not in 0 .. {profile.largest_record}")
    engine = _pipelined_cycles if profile.pipelined else _serial_cycles
    return max(engine(profile, record), _port_cycles(profile, record))


def _port_cycles(profile: Profile, record: Record) -> int:
    """The beats of the longer one of its packets: each begins in a beat of its own."""
    sealed = RECORD_HEADER_BYTES + record.text + TAG_BYTES
    packet = max(sealed, record.opens * (RECORD_NUMBER_BYTES + record.text))
    return -(-(HEADER_BYTES + packet) // profile.bus_bytes)


def _pipelined_cycles(profile: Profile, record: Record) -> int:
    """Both take their blocks at the interval of the slower one.

    Intervals: `hdl.aes.pipelined`, `hdl.aes.ring`, `hdl.ghash_parallel` and `hdl.ghash_digit`.
    """
    blocks, digit = record.blocks + 2, profile.ghash_digit
    aes = blocks * (rounds(record.aes256) if profile.aes is AESCore.RING else 1)
    if digit == 128:
        return max(aes, blocks)
    interval = 128 // digit + 2
    if profile.aes is AESCore.RING and digit == 8:
        interval += 1  # after 18 cycles, it is the place of the block before that comes by
    return max(aes, blocks * interval)


def _serial_cycles(profile: Profile, record: Record) -> int:
    """One after the other: header, text, lengths and tag pass GHASH, a block in 16 intervals.

    AES works a block ahead and is the slower one: each block of text waits for it, the header for
    the first of them. The mask comes before all of this or after it. Header: one block.
    """
    byte = 8 // profile.ghash_digit
    block = BLOCK_BYTES * byte
    latency = SerialAES.latency(record.aes256)
    interval = latency + 1
    text = (record.blocks - 1) * interval
    last_block_and_lengths = max(2 * block, interval)
    tag = block - byte + 1  # nothing waits for the product with its last byte
    mask = interval
    message = latency + text + last_block_and_lengths + tag
    window = profile.window - 3  # a cycle for each record of it, meanwhile; sealing waits too
    overhead = _OPEN_OVERHEAD if record.opens else _SEAL_OVERHEAD
    return overhead + max(message, window) + mask
