"""What a Certificate carries: certificates, or a raw public key (RFC 7250; RFC 8446, 4.4.2).

::

    extension                ClientHello                            EncryptedExtensions
    client_certificate_type  what the client authenticates with     what the server wants of it
    server_certificate_type  what the client takes of the server    what the server has

Without an answer it is X.509.
"""

from collections.abc import Sequence
from enum import IntEnum

from protocol.alerts import AlertDescription, ProtocolViolation
from protocol.extensions import Codec, Extension, ExtensionType
from protocol.wire import uint, uints


class CertificateType(IntEnum):
    """What one side authenticates itself with."""

    X509 = 0
    RAW_PUBLIC_KEY = 2


def _types(number: ExtensionType) -> Codec[Sequence[int]]:
    return Codec(
        number,
        lambda types: uints(types, 1, length_size=1),
        lambda reader: reader.uints(1, length_size=1, minimum=1),
    )


def _type(number: ExtensionType) -> Codec[int]:
    return Codec(number, lambda value: uint(value, 1), lambda reader: reader.uint(1))


#: In a ClientHello: the types, preferred first; the numbers that we do not know are kept.
CLIENT_CERTIFICATE_TYPES = _types(ExtensionType.CLIENT_CERTIFICATE_TYPE)
SERVER_CERTIFICATE_TYPES = _types(ExtensionType.SERVER_CERTIFICATE_TYPE)
#: In EncryptedExtensions: the type selected.
CLIENT_CERTIFICATE_TYPE = _type(ExtensionType.CLIENT_CERTIFICATE_TYPE)
SERVER_CERTIFICATE_TYPE = _type(ExtensionType.SERVER_CERTIFICATE_TYPE)


def offer(own: Sequence[CertificateType], accepted: Sequence[CertificateType]) -> list[Extension]:
    """What a client offers: neither extension where it would say X.509 only (RFC 7250, 4.1)."""
    return [
        codec.make(types)
        for codec, types in (
            (CLIENT_CERTIFICATE_TYPES, own),
            (SERVER_CERTIFICATE_TYPES, accepted),
        )
        if CertificateType.RAW_PUBLIC_KEY in types
    ]


def select(offered: Sequence[int] | None, ours: Sequence[CertificateType]) -> CertificateType:
    """What a server selects: the first type of the client's that it has or takes (RFC 7250, 4.2).

    ``offered``: None where the client has not sent the extension. Raises `ProtocolViolation`
    (unsupported_certificate) when there is none.
    """
    for number in (CertificateType.X509,) if offered is None else offered:
        if number in ours:
            return CertificateType(number)
    raise ProtocolViolation(
        AlertDescription.UNSUPPORTED_CERTIFICATE, "no certificate type that both sides have"
    )


def selected(answer: int | None, offered: Sequence[CertificateType]) -> CertificateType:
    """What a server's answer says to a client; raises `ProtocolViolation` for what was not offered.

    ``answer``: None where the server has not sent the extension.
    """
    if answer is None:
        return CertificateType.X509
    if answer not in offered:
        raise ProtocolViolation(
            AlertDescription.ILLEGAL_PARAMETER,
            f"the server selects certificate type {answer}, which was not offered",
        )
    return CertificateType(answer)
