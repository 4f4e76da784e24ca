import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.alerts import (
    Alert,
    AlertDescription,
    DecodeError,
    LocalError,
    ProtocolViolation,
    UsageError,
)


def test_close_notify_is_the_bytes_that_other_stacks_send() -> None:
    assert Alert(AlertDescription.CLOSE_NOTIFY).encode() == bytes((1, 0))


def test_an_error_is_fatal() -> None:
    assert Alert(AlertDescription.DECODE_ERROR).encode() == bytes((2, 50))


@pytest.mark.parametrize("description", AlertDescription)
def test_every_alert_comes_back(description: AlertDescription) -> None:
    alert = Alert.parse(Alert(description).encode())

    assert alert.description is description
    closures = {AlertDescription.CLOSE_NOTIFY, AlertDescription.USER_CANCELED}
    assert alert.is_error == (description not in closures)


def test_the_level_is_ignored() -> None:
    assert Alert.parse(bytes((1, 40))).is_error
    assert not Alert.parse(bytes((2, 0))).is_error
    assert Alert.parse(bytes((7, 40))).description is AlertDescription.HANDSHAKE_FAILURE


def test_an_unknown_alert_is_an_error() -> None:
    alert = Alert.parse(bytes((1, 222)))

    assert alert.is_error
    assert str(alert) == "unknown alert 222"
    assert alert.encode() == bytes((2, 222))


def test_an_alert_has_a_name_for_logs() -> None:
    assert str(Alert(AlertDescription.UNKNOWN_CA)) == "unknown_ca"


@given(st.binary(max_size=8))
def test_an_alert_record_has_two_bytes(content: bytes) -> None:
    if len(content) == 2:
        Alert.parse(content)
    else:
        with pytest.raises(DecodeError):
            Alert.parse(content)


def test_what_the_peer_does_and_what_we_do_never_mix() -> None:
    assert not issubclass(ProtocolViolation, LocalError)
    assert issubclass(UsageError, LocalError)
    assert not issubclass(LocalError, ProtocolViolation)
