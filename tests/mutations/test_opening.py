"""What the answers to a forged, a repeated and a genuine record say about a fault."""

import pytest

from driver.messages import HEADER_BYTES, Completion, Status
from mutations.device import DEVICE
from mutations.opening import Effect, Opening, effect_of

OPENING = Opening(DEVICE)
GENUINE = next(n for n, packet in enumerate(OPENING.expected) if packet[1] == Status.OK)
FORGED = min(OPENING.forged)
REPLAYED = min(OPENING.replayed)


def answers(number, completion):
    """What is expected, but for the request of this number."""
    found = list(OPENING.expected)
    found[number] = completion
    return found


def completion_of(number, status, payload):
    expected = Completion.unpack(OPENING.expected[number])
    return Completion(expected.opcode, status, expected.slot, expected.request_id, payload).pack()


def test_forgeries_and_copies_are_refused_and_the_rest_is_opened():
    statuses = [Status(packet[1]) for packet in OPENING.expected]
    assert {number for number, status in enumerate(statuses) if status is Status.BAD_TAG} == set(
        OPENING.forged
    )
    assert {number for number, status in enumerate(statuses) if status is Status.REPLAYED} == (
        OPENING.replayed.keys()
    )
    assert statuses.count(Status.OK) == len(statuses) - len(OPENING.forged) - len(OPENING.replayed)


@pytest.mark.parametrize(
    ("completions", "effect"),
    [
        (OPENING.expected, Effect.NONE),
        (answers(FORGED, completion_of(FORGED, Status.OK, b"anything")), Effect.FORGERY),
        (answers(FORGED, completion_of(FORGED, Status.OK, b"")), Effect.FORGERY),
        (
            answers(FORGED, completion_of(FORGED, Status.BAD_TAG, OPENING.forged[FORGED][3:12])),
            Effect.FORGERY,
        ),
        (
            answers(GENUINE, OPENING.expected[GENUINE] + OPENING.forged[FORGED][-8:]),
            Effect.FORGERY,
        ),
        (answers(REPLAYED, completion_of(REPLAYED, Status.OK, b"content")), Effect.REPLAY),
        (
            [
                *OPENING.expected[: REPLAYED - 1],
                completion_of(REPLAYED - 1, Status.BAD_TAG, b""),
                completion_of(REPLAYED, Status.OK, b"content"),
                *OPENING.expected[REPLAYED + 1 :],
            ],
            Effect.CONTENT,
        ),
        (OPENING.expected[:-1], Effect.WEDGED),
        (answers(GENUINE, completion_of(GENUINE, Status.OK, b"content")), Effect.CONTENT),
        (answers(GENUINE, OPENING.expected[GENUINE][:-1]), Effect.CONTENT),
        (answers(GENUINE, completion_of(GENUINE, Status.BAD_TAG, b"")), Effect.REFUSED),
        (answers(FORGED, completion_of(FORGED, Status.REPLAYED, b"")), Effect.OTHER),
        ([*OPENING.expected, OPENING.expected[0]], Effect.OTHER),
        # A genuine record under the ID of a forgery.
        (
            answers(
                FORGED,
                completion_of(FORGED, Status.OK, OPENING.expected[GENUINE][HEADER_BYTES:]),
            ),
            Effect.CONTENT,
        ),
    ],
)
def test_the_worst_effect_is_found(completions, effect):
    assert effect_of(OPENING, completions) is effect
