import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ack import Acknowledger, encode_ack, parse_ack
from protocol.alerts import DecodeError
from protocol.crypto.provider import RecordNumber

NUMBERS = st.lists(
    st.builds(RecordNumber, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=20
)


def test_an_ack_is_a_list_of_epochs_and_numbers():
    """RFC 9147, 7 and the RecordNumber of 4."""
    assert encode_ack([RecordNumber(2, 5)]) == bytes.fromhex(
        "0010 0000000000000002 0000000000000005"
    )


@given(NUMBERS)
def test_numbers_come_back_in_ascending_order(numbers):
    assert parse_ack(encode_ack(numbers)) == sorted(numbers)


@pytest.mark.parametrize("content", ["", "00", "0010", "000f" + "00" * 15, "0000" + "00"])
def test_other_lengths_are_a_decode_error(content):
    with pytest.raises(DecodeError):
        parse_ack(bytes.fromhex(content))


def acknowledger():
    acks = Acknowledger()
    acks.allowed = True
    return acks


def test_a_partial_flight_is_acknowledged_when_patience_ends():
    acks = acknowledger()
    acks.hold(RecordNumber(2, 0), now=10.0, patience=0.25)
    acks.hold(RecordNumber(2, 1), now=10.1, patience=0.25)
    assert acks.deadline == 10.25
    assert parse_ack(acks.take(1000)) == [RecordNumber(2, 0), RecordNumber(2, 1)]
    assert acks.deadline is None


def test_a_portion_of_a_flight_is_acknowledged_at_once():
    """RFC 9147, 5.8.3: a peer sends no more than 10 records before it has an ACK."""
    acks = acknowledger()
    for number in range(9):
        acks.hold(RecordNumber(2, number), now=10.0, patience=0.25)
    assert acks.deadline == 10.25
    acks.hold(RecordNumber(2, 9), now=10.1, patience=0.25)
    assert acks.deadline == 10.1
    assert len(parse_ack(acks.take(1000))) == 10


def test_the_next_portion_is_counted_anew():
    acks = acknowledger()
    for number in range(10):
        acks.hold(RecordNumber(2, number), now=10.0, patience=0.25)
    acks.take(1000)
    for number in range(10, 19):
        acks.hold(RecordNumber(2, number), now=10.1, patience=0.25)
    assert acks.deadline == 10.1 + 0.25
    acks.hold(RecordNumber(2, 19), now=10.2, patience=0.25)
    assert acks.deadline == 10.2


def test_a_record_that_comes_again_is_no_more_of_the_portion():
    """Records of epoch 0 may: no window refuses them."""
    acks = acknowledger()
    for _ in range(10):
        acks.hold(RecordNumber(0, 0), now=10.0, patience=0.25)
    assert acks.deadline == 10.25


def test_a_record_out_of_order_is_acknowledged_at_once_with_the_flight_so_far():
    acks = acknowledger()
    acks.hold(RecordNumber(2, 0), now=10.0, patience=0.25)
    acks.demand(RecordNumber(2, 2), now=10.1)
    assert acks.deadline == 10.1
    acks.take(1000)
    acks.demand(RecordNumber(2, 1), now=10.2)
    assert len(parse_ack(acks.take(1000))) == 3


def test_a_flight_that_ours_answers_needs_no_ack():
    acks = acknowledger()
    acks.hold(RecordNumber(2, 0), now=10.0, patience=0.25)
    acks.forget()
    assert acks.deadline is None
    acks.hurry(11.0)
    assert parse_ack(acks.take(1000)) == []


def test_there_is_no_ack_before_the_version_is_known():
    acks = Acknowledger()
    acks.demand(RecordNumber(0, 1), now=10.0)
    assert acks.deadline is None
    acks.allowed = True
    assert acks.deadline == 10.0


def test_an_ack_names_the_latest_records_when_there_are_many():
    acks = acknowledger()
    for number in range(100):
        acks.demand(RecordNumber(2, number), now=10.0)
    assert parse_ack(acks.take(1000)) == [RecordNumber(2, number) for number in range(68, 100)]


def test_an_ack_fits_the_room_that_there_is():
    acks = acknowledger()
    for number in range(10):
        acks.demand(RecordNumber(2, number), now=10.0)
    assert parse_ack(acks.take(2 + 3 * 16 + 15)) == [RecordNumber(2, n) for n in (7, 8, 9)]


def test_an_ack_names_a_record_once():
    """Records of epoch 0 may come again: no window refuses them."""
    acks = acknowledger()
    for sequence_number in (0, 1, 0):
        acks.demand(RecordNumber(0, sequence_number), now=10.0)
    assert parse_ack(acks.take(1000)) == [RecordNumber(0, 0), RecordNumber(0, 1)]
