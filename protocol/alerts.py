"""Alerts (RFC 8446, 6), and the exceptions that end in one.

Two families that never mix: a `ProtocolViolation` is the peer's doing and knows the alert which
answers it; a `LocalError` is ours and never goes on the wire.
"""

from dataclasses import dataclass
from enum import IntEnum

ALERT_BYTES = 2


class AlertLevel(IntEnum):
    """The legacy level; in TLS 1.3 the description alone says how bad it is (RFC 8446, 6)."""

    WARNING = 1
    FATAL = 2


class AlertDescription(IntEnum):
    """Every alert of RFC 8446, 6, and too_many_cids_requested of RFC 9147, 5.10."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    TOO_MANY_CIDS_REQUESTED = 52
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    UNKNOWN_PSK_IDENTITY = 115
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120


class ProtocolViolation(Exception):  # noqa: N818 - the peer's violation, not an error of ours
    """The peer broke the protocol, or offers nothing acceptable; `alert` is the answer to it.

    The message names the problem for a log; it never holds a secret.
    """

    def __init__(self, alert: AlertDescription, message: str) -> None:
        super().__init__(message)
        self.alert = alert


class DecodeError(ProtocolViolation):
    """A message that does not have its syntax: decode_error."""

    def __init__(self, message: str) -> None:
        super().__init__(AlertDescription.DECODE_ERROR, message)


class LocalError(Exception):
    """Something on this side is wrong; the peer did nothing."""


class UsageError(LocalError, ValueError):
    """An argument of ours is out of range, or a call comes at the wrong time."""


#: Closure alerts (RFC 8446, 6.1); everything else, unknown numbers included, is an error.
_CLOSURES = frozenset({AlertDescription.CLOSE_NOTIFY, AlertDescription.USER_CANCELED})


@dataclass(frozen=True)
class Alert:
    """The content of one alert record: two bytes, level and description."""

    #: A number without a name stays a plain int: it is an error alert as well (RFC 8446, 6).
    description: AlertDescription | int

    @property
    def is_error(self) -> bool:
        """Whether the connection ends with it, without a close_notify (RFC 8446, 6.2)."""
        return self.description not in _CLOSURES

    def encode(self) -> bytes:
        """The content of the alert record."""
        level = AlertLevel.FATAL if self.is_error else AlertLevel.WARNING
        return bytes((level, self.description))

    @classmethod
    def parse(cls, content: bytes) -> "Alert":
        """Exactly one alert (RFC 8446, 5.1); the level is ignored (RFC 8446, 6).

        Raises `DecodeError` for any other length.
        """
        if len(content) != ALERT_BYTES:
            raise DecodeError(f"alert record of {len(content)} bytes, not {ALERT_BYTES}")
        description = content[1]
        try:
            return cls(AlertDescription(description))
        except ValueError:
            return cls(description)

    def __str__(self) -> str:
        name = getattr(self.description, "name", None)
        return name.lower() if name else f"unknown alert {self.description}"
