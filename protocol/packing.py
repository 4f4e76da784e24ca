"""Handshake messages cut to pieces, and the pieces packed into records (RFC 9147, 5.5).

A record takes as many messages of its epoch as there is room for, since each record costs a header
and a tag, time to protect and to open it, and a number in ACKs.
"""

from collections.abc import Iterable, Iterator

from protocol.handshake_framing import FRAGMENT_HEADER_BYTES
from protocol.outbox import Outbox
from protocol.retransmit import OutgoingMessage, Piece

#: A smaller piece of a message is not worth a fragment; the next record takes it.
_SMALLEST_PIECE = 16


def pack(
    due: Iterable[tuple[OutgoingMessage, int, int]], outbox: Outbox
) -> Iterator[tuple[int, list[Piece]]]:
    """The epoch of each record and what it carries, to be sent before the next is asked for.

    Each is as long as the datagram that ``outbox`` is filling has room; where that is too little,
    the record begins the next datagram.
    """
    pieces: list[Piece] = []
    epoch, room = -1, 0
    for message, start, stop in due:
        if pieces and message.epoch != epoch:
            yield epoch, pieces
            pieces = []
        epoch = message.epoch
        while start < stop:
            least = FRAGMENT_HEADER_BYTES + min(stop - start, _SMALLEST_PIECE)
            if pieces and room < least:
                yield epoch, pieces
                pieces = []
            if not pieces:
                room = outbox.room(epoch)
                if room < least:
                    outbox.next_datagram()
                    room = outbox.room(epoch)
            end = min(stop, start + room - FRAGMENT_HEADER_BYTES)
            pieces.append(Piece(message, start, end))
            room -= FRAGMENT_HEADER_BYTES + end - start
            start = end
    if pieces:
        yield epoch, pieces
