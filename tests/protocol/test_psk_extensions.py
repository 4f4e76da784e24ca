"""The extensions of PSKs and early data, byte by byte."""

import pytest

from protocol.alerts import AlertDescription, DecodeError, ProtocolViolation
from protocol.extensions import Extension, Extensions, ExtensionType
from protocol.psk_extensions import (
    EARLY_DATA,
    MAX_EARLY_DATA,
    OFFERED_PSKS,
    PSK_MODES,
    SELECTED_PSK,
    OfferedPsks,
    PskIdentity,
    PskMode,
)

OFFERED = OfferedPsks(
    (PskIdentity(b"ab", 0x01020304), PskIdentity(b"c", 0)), (b"x" * 32, b"y" * 48)
)


def parse(codec, data):
    return codec.read(Extensions([Extension(codec.type, data)]))


def test_offered_psks_are_laid_out_as_in_the_standard():
    """RFC 8446, 4.2.11."""
    identities = b"\0\2ab\1\2\3\4" + b"\0\1c\0\0\0\0"
    binders = b"\x20" + b"x" * 32 + b"\x30" + b"y" * 48
    expected = b"\0\x0f" + identities + b"\0\x52" + binders
    assert OFFERED_PSKS.make(OFFERED) == (ExtensionType.PRE_SHARED_KEY, expected)
    assert parse(OFFERED_PSKS, expected) == OFFERED
    assert OFFERED.binders_bytes == 2 + len(binders)


def test_the_others_are_laid_out_as_in_the_standard():
    """RFC 8446, 4.2.9 to 4.2.11."""
    assert PSK_MODES.make([PskMode.PSK_DHE_KE, PskMode.PSK_KE]).data == b"\2\1\0"
    assert parse(PSK_MODES, b"\2\1\x55") == (1, 0x55)
    assert SELECTED_PSK.make(258).data == b"\1\2"
    assert parse(SELECTED_PSK, b"\1\2") == 258
    assert EARLY_DATA.make(True).data == b""
    assert parse(EARLY_DATA, b"") is True
    assert MAX_EARLY_DATA.make(0x01020304).data == b"\1\2\3\4"
    assert parse(MAX_EARLY_DATA, b"\1\2\3\4") == 0x01020304


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (PSK_MODES, b"\0"),
        (PSK_MODES, b"\2\1"),
        (SELECTED_PSK, b"\0"),
        (SELECTED_PSK, b"\0\0\0"),
        (EARLY_DATA, b"\0"),
        (MAX_EARLY_DATA, b"\0\0\0"),
        (OFFERED_PSKS, b""),
        (OFFERED_PSKS, b"\0\0" + b"\0\x21\x20" + bytes(32)),
        (OFFERED_PSKS, b"\0\6\0\0\0\0\0\0" + b"\0\x21\x20" + bytes(32)),
        (OFFERED_PSKS, b"\0\7\0\1a\0\0\0\0" + b"\0\x20\x1f" + bytes(31)),
        (OFFERED_PSKS, b"\0\7\0\1a\0\0\0\0" + b"\0\0"),
        (OFFERED_PSKS, OFFERED.encode() + b"\0"),
    ],
)
def test_what_has_not_the_syntax_is_a_decode_error(codec, data):
    with pytest.raises(DecodeError):
        parse(codec, data)


def test_each_identity_needs_a_binder():
    data = OfferedPsks(OFFERED.identities, OFFERED.binders[:1]).encode()
    with pytest.raises(ProtocolViolation, match="2 identities and 1 binders") as violation:
        parse(OFFERED_PSKS, data)
    assert violation.value.alert is AlertDescription.ILLEGAL_PARAMETER


def test_no_identity_and_no_binder_is_in_a_repr():
    assert repr(OFFERED) == "OfferedPsks()"
