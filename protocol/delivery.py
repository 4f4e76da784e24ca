"""Reliable delivery of handshake messages over records that get lost (RFC 9147, 5.5, 5.8 and 7).

Brings together what arrives (fragments in any order), what is acknowledged, what is sent again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from protocol.ack import PORTION, Acknowledger, parse_ack
from protocol.alerts import AlertDescription, DecodeError, ProtocolViolation
from protocol.config import ConnectionConfig
from protocol.crypto.provider import OpenedRecord
from protocol.fragments import Arrival, Message, Reassembler
from protocol.handshake import APPLICATION_EPOCH, PLAINTEXT_EPOCH, Encodable, PeerHello
from protocol.handshake_framing import Fragment, HandshakeType, parse_fragments
from protocol.outbox import SAFE_MTU, Outbox
from protocol.packing import pack
from protocol.record import ContentType
from protocol.retransmit import Flight, OutgoingMessage, RetransmissionTimer, earlier
from protocol.stats import Statistics

_LAST_MESSAGE_SEQ = 0xFFFF
#: As a plain number: to look it up in its class takes longer than to compare it.
_KEY_UPDATE = int(HandshakeType.KEY_UPDATE)
#: RFC 9147, 7.1: this part of the retransmission interval passes before a partial flight is acked.
_PATIENCE = 1 / 4

#: RFC 9147, 4.4: after so many time-outs of a flight its datagrams may have been too large.
_SHRINK_AFTER = 3


class Mark(NamedTuple):
    """Where a `Delivery` was before the peer's next hello."""

    expected: int
    flight: Flight | None
    deadline: float | None
    acks_allowed: bool
    next_message_seq: int
    flight_start: int


class Delivery:
    """The handshake messages of one connection, both directions.

    The owner tells it which epoch new messages of the peer must have (``read_epoch``), which epoch
    ACKs are sent in (``write_epoch``), and when the handshake is over (`finish`).
    """

    def __init__(
        self,
        config: ConnectionConfig,
        outbox: Outbox,
        stats: Statistics,
        peer_hellos: Sequence[PeerHello],
    ) -> None:
        self.read_epoch = PLAINTEXT_EPOCH
        self.write_epoch = PLAINTEXT_EPOCH
        self._config = config
        self._outbox = outbox
        self._stats = stats
        self._peer_hellos: dict[int, PeerHello] = {h.msg_type: h for h in peer_hellos}
        self._reassembler = Reassembler(config.max_handshake_message)
        self._acks = Acknowledger()
        self._timer = RetransmissionTimer(
            config.retransmission_timeout, config.max_retransmission_timeout
        )
        self._flight: Flight | None = None
        self._next_message_seq = 0
        #: Messages before this one belong to the flights that ours have answered.
        self._flight_start = 0
        self._finished = False
        #: The peer's hello, as long as nothing shows that it is genuine; what may take its place.
        self._doubted: Message | None = None
        self._another = Reassembler(config.max_handshake_message)
        #: Whether our current flight is a hello that seems to be answered already.
        self._repeats_hello = False

    def skip_messages(self, count: int) -> None:
        """So many messages went each way before this association had a state (RFC 9147, 5.2)."""
        self._next_message_seq = count
        self._reassembler.next_message_seq = count

    @property
    def idle(self) -> bool:
        """Whether the peer has all that we sent."""
        return self._flight is None

    @property
    def exhausted(self) -> bool:
        """Whether there is no message_seq left: nothing more can be sent reliably."""
        return self._next_message_seq > _LAST_MESSAGE_SEQ

    @property
    def hello_outstanding(self) -> bool:
        """Whether a hello of ours has no answer; until then the peer may have no keys."""
        if self._flight is None or self._repeats_hello:
            return False
        return self._flight.messages[0].epoch == PLAINTEXT_EPOCH

    @property
    def doubts(self) -> bool:
        """Whether the peer's hello may not be genuine, so that another may take its place."""
        return self._doubted is not None

    @property
    def acks_allowed(self) -> bool:
        """Whether the peer is known to speak DTLS 1.3; its ACKs are ignored before (9147bis, 7)."""
        return self._acks.allowed

    @property
    def deadline(self) -> float | None:
        """When `handle_timer` has to be called."""
        return earlier(self._timer.deadline, self._ack_deadline)

    def receive(self, record: OpenedRecord, now: float) -> None:
        """Take the content of a handshake record; raises `ProtocolViolation`."""
        fragments = parse_fragments(record.content)
        if record.epoch != self.read_epoch:
            self._check_old(fragments)
        self._receive(fragments, record, now)

    def receive_hello(self, record: OpenedRecord, now: float) -> bool:
        """Take a plaintext record while there are no keys, if it fits; raises `DecodeError`.

        Only the peer's next hello may be in it, or one that it sends again. Where two records
        contradict each other one is forged: the later one is kept, since a genuine peer repeats
        itself. A hello that cannot be parsed is not kept.
        """
        fragments = parse_fragments(record.content)
        if not all(self._may_be_hello(fragment) for fragment in fragments):
            return False
        fits = self._add_hello(fragments, record, now)
        if not fits:
            self._add_hello(fragments, record, now)
        return fits

    def receive_repeated(self, record: OpenedRecord, now: float) -> bool:
        """Take a plaintext record although there are keys, if it only repeats what came before.

        Raises `DecodeError`.
        """
        fragments = parse_fragments(record.content)
        if not all(self._is_old(fragment) for fragment in fragments):
            return False
        self._receive(fragments, record, now)
        return True

    def next_message(self, now: float) -> Message | None:
        """The next message in order, once it is whole."""
        message = self._reassembler.next_message()
        if message is not None:
            self._took(now)
        return message

    def mark(self) -> Mark:
        """What to `go_back` to if the peer's next hello is not genuine."""
        return Mark(
            self._reassembler.next_message_seq,
            self._flight,
            self._timer.deadline,
            self._acks.allowed,
            self._next_message_seq,
            self._flight_start,
        )

    def go_back(self, mark: Mark) -> None:
        """As if the hello after ``mark`` had never come."""
        self._reassembler.forget_pieces()
        self._acks.forget()
        self._reassembler.next_message_seq = mark.expected
        self._flight, self._timer.deadline = mark.flight, mark.deadline
        self._acks.allowed = mark.acks_allowed
        self._next_message_seq, self._flight_start = mark.next_message_seq, mark.flight_start
        self.read_epoch = self.write_epoch = PLAINTEXT_EPOCH
        self._doubted, self._repeats_hello = None, False

    def doubt(self, hello: Message) -> None:
        """Nothing shows yet that the peer's last hello is genuine."""
        self._doubted = hello
        self._another.forget_pieces()
        self._another.next_message_seq = hello.message_seq

    def repeat_hello(self, mark: Mark) -> None:
        """Send our hello again, as before the peer's that came after ``mark``, until `trust`."""
        self._flight, self._timer.deadline = mark.flight, mark.deadline
        self._repeats_hello = True

    def trust(self, now: float) -> None:
        """A record that the peer has protected came: its hello is genuine."""
        if self.doubts:
            if self._repeats_hello:
                self._flight_arrived(now)
            self._doubted, self._repeats_hello = None, False

    def receive_another(self, record: OpenedRecord, now: float) -> tuple[bool, Message | None]:
        """The same while there are `doubts`; and the other hello that the record makes whole."""
        is_old = self.receive_repeated(record, now)
        fragments = parse_fragments(record.content)
        expected = self._another.next_message_seq
        if not is_old or any(each.message_seq != expected for each in fragments):
            return is_old, None
        another = self._whole_of(fragments)
        if another is None or another == self._doubted:
            return True, None
        return False, another if self._is_well_formed(another) else None

    def take(self, hello: Message, now: float) -> None:
        """``hello`` is the next message."""
        self._reassembler.next_message_seq = hello.message_seq + 1
        self._took(now)

    def receive_ack(self, record: OpenedRecord, now: float) -> None:
        """Take the content of an ACK record; raises `ProtocolViolation`."""
        epoch, numbers = record.epoch, parse_ack(record.content)
        if epoch < APPLICATION_EPOCH and any(number.epoch > epoch for number in numbers):
            raise ProtocolViolation(
                AlertDescription.ILLEGAL_PARAMETER, f"an ACK in epoch {epoch} for a later one"
            )
        if self._flight is None:
            return
        news = self._flight.acknowledge(numbers)
        if self._flight.complete:
            self._flight_arrived(now)
        elif news:
            self._transmit()
            self._timer.restart(now)
        elif not numbers and not self._sent_recently(now):
            # An empty ACK: the peer has records of the flight that it cannot open yet.
            self._transmit_again()
            self._timer.restart(now)

    def send_flight(self, messages: Sequence[tuple[int, Encodable]], now: float) -> None:
        """Send messages, each in its epoch, and again until they are acknowledged or answered."""
        self._stats.flights_sent += 1
        self._flight = Flight([self._number(epoch, message) for epoch, message in messages])
        if not self._finished:
            self._acks.forget()
            self._flight_start = self._reassembler.next_message_seq
        self._transmit()
        self._timer.start(now)

    def change_read_epoch(self, epoch: int) -> None:
        """New messages of the peer come in ``epoch`` from now on.

        Raises `ProtocolViolation` when there is more of the epoch before: messages must not span a
        change of keys (RFC 8446, 5.1), and a KeyUpdate is the last of its epoch (RFC 9147bis, 8).
        """
        self.read_epoch = epoch
        if self._reassembler.has_pieces:
            raise ProtocolViolation(
                AlertDescription.UNEXPECTED_MESSAGE,
                f"a handshake message that goes on after the change to epoch {epoch}",
            )

    def finish(self, now: float, *, acknowledge: bool) -> None:
        """The handshake is over: from now on every message is acknowledged at once.

        ``acknowledge``: the peer's last flight as well, since nothing answers it.
        """
        self._finished = True
        if acknowledge:
            self._acks.hurry(now)

    def send_due_ack(self, now: float) -> None:
        """Send an ACK if it is time to."""
        deadline = self._ack_deadline
        if deadline is not None and deadline <= now:
            size = self._outbox.largest_content(self.write_epoch, self._outbox.mtu)
            self._outbox.send(self.write_epoch, ContentType.ACK, self._acks.take(size))
            if self._finished:
                self._acks.forget()

    def handle_timer(self, now: float) -> None:
        """Send again, and send ACKs, as far as it is time to."""
        if self._timer.deadline is not None and self._timer.deadline <= now:
            self._timer.back_off(now)
            if self._timer.failures == _SHRINK_AFTER:
                self._outbox.mtu = min(self._outbox.mtu, SAFE_MTU)
            self._transmit_again()
        self.send_due_ack(now)

    def send_smaller(self, now: float) -> None:
        """What of our current flight is not acknowledged was too large: send it again, cut anew."""
        if self._flight is not None:
            self._transmit_again()
            self._timer.restart(now)

    def forget_path(self) -> None:
        """What we send takes another path: nobody knows how long a round trip takes there."""
        self._timer.forget()

    @property
    def _ack_deadline(self) -> float | None:
        """None in epoch 0: what is acknowledged does not come again, and it may not be genuine."""
        return self._acks.deadline if self.write_epoch > PLAINTEXT_EPOCH else None

    def _took(self, now: float) -> None:
        self._acks.allowed = True
        self._answered(now)

    def _whole_of(self, fragments: Sequence[Fragment]) -> Message | None:
        """The other hello, if these make it whole; all pieces go if one contradicts another."""
        try:
            for fragment in fragments:
                self._another.add(fragment)
        except ProtocolViolation:
            self._another.forget_pieces()
            return None
        message = self._another.whole_message()
        if message is not None:
            self._another.forget_pieces()
        return message

    def _check_old(self, fragments: Sequence[Fragment]) -> None:
        """New messages come in the current epoch only (RFC 9147, 6.1 and 8)."""
        if not all(self._is_old(fragment) for fragment in fragments):
            raise ProtocolViolation(
                AlertDescription.UNEXPECTED_MESSAGE, "a new handshake message in an old epoch"
            )

    def _is_old(self, fragment: Fragment) -> bool:
        return fragment.message_seq < self._reassembler.next_message_seq

    def _may_be_hello(self, fragment: Fragment) -> bool:
        """Whether it is of a hello up to the next one: in epoch 0 the sides take turns."""
        is_hello = fragment.msg_type in self._peer_hellos
        return is_hello and fragment.message_seq <= self._reassembler.next_message_seq

    def _add_hello(self, fragments: Sequence[Fragment], record: OpenedRecord, now: float) -> bool:
        try:
            self._receive(fragments, record, now)
        except ProtocolViolation:
            fits = False
        else:
            message = self._reassembler.whole_message()
            fits = message is None or self._is_well_formed(message)
        if not fits:
            self._reassembler.forget_pieces()
            self._acks.forget()
        return fits

    def _is_well_formed(self, hello: Message) -> bool:
        """Whether it has the syntax; the handshake judges what it says."""
        kind = self._peer_hellos.get(hello.msg_type)
        if kind is None:
            return False
        try:
            kind.parse(hello.body)
        except DecodeError:
            return False
        except ProtocolViolation:
            pass
        return True

    def _receive(self, fragments: Sequence[Fragment], record: OpenedRecord, now: float) -> None:
        if max([fragment.message_seq for fragment in fragments]) < self._flight_start:
            self._peer_repeats(now)
            return
        arrivals = [self._reassembler.add(fragment) for fragment in fragments]
        in_order = arrivals.count(Arrival.IN_ORDER)
        is_new = in_order or Arrival.OUT_OF_ORDER in arrivals
        if is_new and record.epoch != PLAINTEXT_EPOCH:  # there only a whole hello counts
            self._answered(now)
        if Arrival.NOT_KEPT in arrivals or self._has_waiting_update(fragments):
            return
        if self._finished or in_order < len(arrivals):
            self._acks.demand(record.number, now)
        else:
            self._acks.hold(record.number, now, self._timer.interval * _PATIENCE)

    def _has_waiting_update(self, fragments: Sequence[Fragment]) -> bool:
        """A KeyUpdate after something missing: its ACK would say that its keys may be used."""
        updates = [one.message_seq for one in fragments if one.msg_type == _KEY_UPDATE]
        return any(map(self._reassembler.lacks_any_until, updates))

    def _peer_repeats(self, now: float) -> None:
        """The peer sends its last flight again: it lacks ours (RFC 9147, 5.8.1, way 3).

        Once for the many records of its flight, and not for each copy that the network makes.
        """
        untouched = self._flight is not None and self._flight.untouched
        if untouched and not self._sent_recently(now):
            self._transmit_again()
            self._timer.restart(now)

    def _sent_recently(self, now: float) -> bool:
        return now < self._timer.last_sent + self._timer.interval * _PATIENCE

    def _answered(self, now: float) -> None:
        """The peer's next flight acknowledges ours (RFC 9147, 7.2)."""
        if not self._finished:
            self._flight_arrived(now)

    def _flight_arrived(self, now: float) -> None:
        if self._flight is not None:
            self._timer.stop(now, repeated=self._flight.repeated)
            self._flight = None

    def _number(self, epoch: int, message: Encodable) -> OutgoingMessage:
        number = self._next_message_seq
        self._next_message_seq += 1
        return OutgoingMessage(epoch, message.msg_type, number, message.encode())

    def _transmit_again(self) -> None:
        """Send what the peer lacks, whatever is still under way."""
        assert self._flight is not None
        self._flight.lose()
        self._transmit()

    def _transmit(self) -> None:
        """Send what is due of the current flight, in as few records and datagrams as possible.

        Hellos go out whole: of those the peer need not acknowledge a part (RFC 9147, 7), so that
        the rest would have nothing to wait for.
        """
        flight, outbox = self._flight, self._outbox
        assert flight is not None
        outbox.next_datagram()
        for epoch, pieces in pack(list(flight.due()), outbox):
            if flight.under_way >= PORTION and epoch != PLAINTEXT_EPOCH:
                return
            content = b"".join([piece.encode() for piece in pieces])
            flight.sent(outbox.send(epoch, ContentType.HANDSHAKE, content), pieces)
