import pytest

from protocol.crypto.provider import RecordNumber
from protocol.handshake_framing import parse_fragments
from protocol.retransmit import Flight, OutgoingMessage, Piece, RetransmissionTimer

HELLO = OutgoingMessage(0, 2, 4, bytes(range(50)))
FINISHED = OutgoingMessage(2, 20, 5, bytes(range(100, 200)))
VERIFY = OutgoingMessage(2, 15, 6, bytes(10))


def missing(flight):
    return [(message.message_seq, start, stop) for message, start, stop in flight.missing()]


def test_all_of_a_new_flight_is_missing():
    flight = Flight([HELLO, FINISHED])
    assert missing(flight) == [(4, 0, 50), (5, 0, 100)]
    assert flight.untouched
    assert not flight.complete


def test_a_fragment_has_the_number_of_its_message_and_the_length_of_the_whole():
    (fragment,) = parse_fragments(Piece(FINISHED, 10, 30).encode())
    assert (fragment.msg_type, fragment.message_seq, fragment.length) == (20, 5, 100)
    assert (fragment.offset, fragment.data) == (10, bytes(range(110, 130)))


def test_only_what_is_not_acknowledged_is_missing():
    flight = Flight([HELLO, FINISHED])
    flight.sent(RecordNumber(0, 0), [Piece(HELLO, 0, 50)])
    flight.sent(RecordNumber(2, 0), [Piece(FINISHED, 0, 40)])
    flight.sent(RecordNumber(2, 1), [Piece(FINISHED, 40, 80)])
    flight.sent(RecordNumber(2, 2), [Piece(FINISHED, 80, 100)])
    flight.acknowledge([RecordNumber(0, 0), RecordNumber(2, 1)])
    assert missing(flight) == [(5, 0, 40), (5, 80, 100)]
    assert not flight.untouched


def test_an_ack_of_any_transmission_counts_however_the_message_was_cut():
    flight = Flight([FINISHED])
    flight.sent(RecordNumber(2, 0), [Piece(FINISHED, 0, 60)])
    flight.sent(RecordNumber(2, 1), [Piece(FINISHED, 60, 100)])
    flight.sent(RecordNumber(2, 2), [Piece(FINISHED, 0, 30)])
    flight.sent(RecordNumber(2, 3), [Piece(FINISHED, 30, 90)])
    flight.acknowledge([RecordNumber(2, 3)])
    flight.acknowledge([RecordNumber(2, 0)])
    assert missing(flight) == [(5, 90, 100)]
    flight.acknowledge([RecordNumber(2, 1)])
    assert flight.complete


def test_an_ack_of_a_record_is_one_of_all_messages_in_it():
    flight = Flight([HELLO, FINISHED, VERIFY])
    flight.sent(RecordNumber(2, 0), [Piece(HELLO, 20, 50), Piece(FINISHED, 0, 100)])
    flight.sent(RecordNumber(2, 1), [Piece(VERIFY, 0, 10)])
    flight.acknowledge([RecordNumber(2, 0)])
    assert missing(flight) == [(4, 0, 20), (6, 0, 10)]


def test_acks_of_other_records_change_nothing():
    flight = Flight([FINISHED])
    flight.sent(RecordNumber(2, 0), [Piece(FINISHED, 0, 100)])
    flight.acknowledge([RecordNumber(2, 1), RecordNumber(3, 0)])
    assert flight.untouched


def test_the_interval_doubles_up_to_its_maximum():
    """RFC 9147, 5.8.2."""
    timer = RetransmissionTimer(1.0, 60.0)
    timer.start(0.0)
    deadlines = []
    for _ in range(9):
        deadlines.append(timer.deadline)
        timer.back_off(timer.deadline)
    assert deadlines == [1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0]


def test_a_longer_interval_stays_until_a_flight_arrives_at_once():
    """RFC 9147, 5.8.2: then it is one and a half of the round trip."""
    timer = RetransmissionTimer(1.0, 60.0)
    timer.start(0.0)
    timer.back_off(1.0)
    timer.stop(1.4, repeated=True)
    timer.start(5.0)
    assert timer.deadline == 7.0
    timer.stop(5.5, repeated=False)
    timer.start(6.0)
    assert timer.deadline == 6.75


@pytest.mark.parametrize(
    ("initial", "round_trip", "interval"), [(1.0, 0.001, 0.2), (0.1, 0.001, 0.1), (1.0, 9.0, 10.0)]
)
def test_a_measured_interval_has_limits(initial, round_trip, interval):
    timer = RetransmissionTimer(initial, 10.0)
    timer.start(0.0)
    timer.stop(round_trip, repeated=False)
    assert timer.interval == interval


def test_after_a_long_silence_nothing_is_known_about_the_round_trip():
    """RFC 9147, 5.8.2: no less than ten intervals."""
    timer = RetransmissionTimer(1.0, 60.0)
    timer.start(0.0)
    timer.stop(0.4, repeated=False)
    timer.start(5.9)
    assert timer.interval == pytest.approx(0.6)
    timer.stop(6.3, repeated=False)
    timer.start(12.0)
    assert timer.interval == 1.0


def under_way():
    """Four records of a flight, all under way."""
    flight = Flight([FINISHED])
    for number in range(4):
        flight.sent(RecordNumber(2, number), [Piece(FINISHED, 25 * number, 25 * number + 25)])
    assert due(flight) == []
    return flight


def due(flight):
    return [(start, stop) for _, start, stop in flight.due()]


def test_a_record_is_lost_when_a_later_one_has_arrived():
    flight = under_way()
    flight.acknowledge([RecordNumber(2, 0), RecordNumber(2, 2)])
    assert due(flight) == [(25, 50)]
    assert flight.under_way == 1


def test_all_is_lost_that_follows_what_has_arrived_without_a_gap():
    flight = under_way()
    flight.acknowledge([RecordNumber(2, 0), RecordNumber(2, 1)])
    assert due(flight) == [(50, 100)]
    assert flight.under_way == 0


def test_an_ack_of_other_records_loses_nothing():
    flight = under_way()
    flight.acknowledge([RecordNumber(2, 9)])
    assert due(flight) == []


def test_what_is_given_up_is_due_again():
    flight = under_way()
    flight.acknowledge([RecordNumber(2, 0), RecordNumber(2, 2)])
    flight.lose()
    assert due(flight) == [(25, 50), (75, 100)]


def test_a_flight_knows_whether_any_of_it_was_sent_again():
    flight = Flight([HELLO, FINISHED])
    flight.sent(RecordNumber(0, 0), [Piece(HELLO, 0, 50)])
    flight.sent(RecordNumber(2, 0), [Piece(FINISHED, 0, 40)])
    flight.sent(RecordNumber(2, 1), [Piece(FINISHED, 40, 100)])
    assert not flight.repeated
    flight.sent(RecordNumber(2, 2), [Piece(FINISHED, 60, 100)])
    assert flight.repeated


def test_a_repetition_that_the_peer_asked_for_does_not_double_the_interval():
    timer = RetransmissionTimer(1.0, 60.0)
    timer.start(0.0)
    timer.restart(0.5)
    assert timer.deadline == 1.5
