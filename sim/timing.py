"""How many cycles records take, by rule: a model of the gateware's rate, without simulating it.

`tests/sim/test_timing.py` holds it against the simulated gateware. The rules are those of a device
that is kept busy: requests wait, completions are taken.
"""

from hdl.profile import AESCore, Profile

__all__ = ["gigabits_per_second", "record_cycles"]

_BLOCK = 16
_TYPE_BYTES = 1
#: What a packet and a record have beside the text: packet header, record header, tag.
_PACKET_HEADER, _RECORD_HEADER, _TAG = 8, 5, 16
#: Cycles a block, for AES-128 and AES-256.
_AES_CYCLES = {
    AESCore.ITERATIVE: (11, 15),
    AESCore.RING: (10, 14),
    AESCore.PIPELINED: (1, 1),
}
#: The serial engine: cycles of a record beside those of its blocks, by direction.
_SERIAL_CYCLES = {"seal": 87, "open": 100}


def record_cycles(
    profile: Profile, direction: str, content_bytes: int, aes256: bool = False
) -> float:
    """Cycles from one record to the next; header of 5 bytes, no padding.

    ``direction`` is "seal" or "open".
    """
    text = content_bytes + _TYPE_BYTES
    blocks = -(-text // _BLOCK)
    aes = _AES_CYCLES[profile.aes][aes256]
    if not profile.pipelined:
        block = max(_BLOCK, 128 // profile.ghash_digit, aes)
        return _SERIAL_CYCLES[direction] + 4 * aes256 + block * blocks
    # One block for the tag and one for the mask; one of associated data and one of lengths.
    work = max(aes, _hash_cycles(profile)) * (blocks + 2)
    return max(work, -(-(_PACKET_HEADER + _RECORD_HEADER + text + _TAG) // profile.bus_bytes))


def gigabits_per_second(
    profile: Profile, megahertz: float, content_bytes: int, aes256: bool = False
) -> float:
    """Content that the slower direction moves."""
    cycles = max(record_cycles(profile, way, content_bytes, aes256) for way in ("seal", "open"))
    return megahertz * 8 * content_bytes / cycles / 1000


def _hash_cycles(profile: Profile) -> int:
    if profile.ghash_digit == 128:
        return 1
    return DigitGHASH(profile.ghash_digit).interval
