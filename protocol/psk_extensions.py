"""The extensions of PSKs and of early data (RFC 8446, 4.2.9 to 4.2.11 and 4.6.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.extensions import Codec, ExtensionType
from protocol.wire import Reader, uint, uints, vector

#: In bytes (RFC 8446, 4.2.11).
_SHORTEST_BINDER = 32
_SHORTEST_IDENTITIES = 7
_SHORTEST_BINDERS = 33


class PskMode(IntEnum):
    """How a PSK is used (RFC 8446, 4.2.9)."""

    #: Alone: without forward secrecy.
    PSK_KE = 0
    #: With a key exchange beside it.
    PSK_DHE_KE = 1


class PskIdentity(NamedTuple):
    """The name of a PSK, or a ticket, and the age of the ticket in disguise."""

    identity: bytes
    obfuscated_ticket_age: int


@dataclass(frozen=True)
class OfferedPsks:
    """pre_shared_key of a ClientHello; each identity has the binder at its place."""

    identities: tuple[PskIdentity, ...] = field(repr=False)
    binders: tuple[bytes, ...] = field(repr=False)

    @property
    def binders_bytes(self) -> int:
        """How many bytes the binders take at the end of the ClientHello, their length included."""
        return len(self._encode_binders())

    def encode(self) -> bytes:
        """OfferedPsks of RFC 8446, 4.2.11."""
        identities = b"".join(vector(name, 2) + uint(age, 4) for name, age in self.identities)
        return vector(identities, 2) + self._encode_binders()

    def _encode_binders(self) -> bytes:
        return vector(b"".join(vector(binder, 1) for binder in self.binders), 2)

    @classmethod
    def parse(cls, reader: Reader) -> "OfferedPsks":
        """Read the reverse; illegal_parameter for more or fewer binders than identities."""
        block = reader.nested(2, minimum=_SHORTEST_IDENTITIES)
        identities: list[PskIdentity] = []
        while block.remaining:
            identities.append(PskIdentity(block.vector(2, minimum=1), block.uint(4)))
        block = reader.nested(2, minimum=_SHORTEST_BINDERS)
        binders: list[bytes] = []
        while block.remaining:
            binders.append(block.vector(1, minimum=_SHORTEST_BINDER))
        if len(identities) != len(binders):
            raise ProtocolViolation(
                AlertDescription.ILLEGAL_PARAMETER,
                f"pre_shared_key has {len(identities)} identities and {len(binders)} binders",
            )
        return cls(tuple(identities), tuple(binders))


#: psk_key_exchange_modes of a ClientHello; the numbers that we do not know are kept.
PSK_MODES: Codec[Sequence[int]] = Codec(
    ExtensionType.PSK_KEY_EXCHANGE_MODES,
    lambda modes: uints(modes, 1, length_size=1),
    lambda reader: reader.uints(1, length_size=1, minimum=1),
)
#: pre_shared_key of a ClientHello; always its last extension.
OFFERED_PSKS: Codec[OfferedPsks] = Codec(
    ExtensionType.PRE_SHARED_KEY, OfferedPsks.encode, OfferedPsks.parse
)
#: pre_shared_key of a ServerHello: which of the identities, counted from 0.
SELECTED_PSK: Codec[int] = Codec(
    ExtensionType.PRE_SHARED_KEY, lambda index: uint(index, 2), lambda reader: reader.uint(2)
)
#: early_data of a ClientHello (there will be some) and of EncryptedExtensions (it is taken).
EARLY_DATA: Codec[bool] = Codec(ExtensionType.EARLY_DATA, lambda _there: b"", lambda _reader: True)
#: early_data of a NewSessionTicket: max_early_data_size, in bytes.
MAX_EARLY_DATA: Codec[int] = Codec(
    ExtensionType.EARLY_DATA, lambda size: uint(size, 4), lambda reader: reader.uint(4)
)
