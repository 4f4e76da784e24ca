"""What the wire of a board allows: content a second over its UART, whatever the engine does."""

from driver.frames import BOARD_HEADER_BYTES, CRC_BYTES, LEAST_DIVISOR
from driver.messages import HEADER_BYTES, TAG_BYTES
from hdl.rate import RECORD_HEADER_BYTES, Record

__all__ = ["link_baud", "link_rate"]

#: Start bit, eight bits of data, stop bit.
_BITS = 10
_FLAGS = 2
#: Of 256 values two are stuffed (RFC 1662, 4.2), and what is encrypted has all of them alike.
_STUFFING = 1 + 2 / 256


def link_baud(clock_hz: float, adapter_baud: int) -> float:
    """The fastest rate that both ends have, in bits a second: a whole number of cycles a bit."""
    return clock_hz / max(LEAST_DIVISOR, -(-clock_hz // adapter_baud))


def link_rate(baud: float, record: Record) -> float:
    """Bytes of content a second if such records are sealed one after the other.

    The completion is longer than its request, and both ways of the wire are in use at once. Opening
    is the same the other way round, but for a few bytes.
    """
    packet = HEADER_BYTES + RECORD_HEADER_BYTES + record.text + TAG_BYTES
    frame = _FLAGS + _STUFFING * (BOARD_HEADER_BYTES + packet + CRC_BYTES)
    return record.content * baud / (_BITS * frame)
