"""What the device opens while a bit is flipped, and what its answers say about the flip."""

import random
from collections.abc import Iterator, Sequence
from enum import Enum

from driver.messages import (
    HEADER_BYTES,
    Completion,
    MessageError,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT, Profile
from tests.hdl.pipeline.batches import Key

__all__ = ["Effect", "Opening", "effect_of"]

#: Shorter pieces of a plaintext may come up by chance.
_PIECE_BYTES = 8
#: Requests to open, copies apart.
_COUNT = 36
#: From the end of a message: in what of it a forgery differs, and what of its text is the same.
_FORGED_BYTES = 20
_SAME_BYTES = _FORGED_BYTES - 16 + 1


class Effect(Enum):
    """The worst that a flip did, worst first."""

    #: A forgery was accepted, or a piece of its plaintext was in a completion.
    FORGERY = "forgery accepted"
    #: A record was accepted twice; a copy of one that was refused is none.
    REPLAY = "replay accepted"
    #: Fewer completions came than requests.
    WEDGED = "wedged"
    #: What was accepted had another content or number, or a completion was no packet.
    CONTENT = "wrong content"
    #: What is genuine was refused.
    REFUSED = "wrong refusal"
    #: Another reason for a refusal, another request's ID, or a completion too many.
    OTHER = "other answer"
    NONE = "none"


class Opening:
    """Requests for `packets` sent all at once, when the keys of ``loads`` are there.

    Two keys for records and one for messages; genuine ones, copies of records, and forgeries. Of a
    forgery two bits are wrong, in its tag or in the bytes in front of it, so that one more flip
    does not make it genuine.
    """

    def __init__(self, profile: Profile):
        keys = [
            Key(COMPACT, "opening", Usage.OPEN, 1, Suite.AES_128_GCM),
            Key(COMPACT, "opening", Usage.OPEN, 3, Suite.AES_256_GCM),
            Key(COMPACT, "opening", Usage.AEAD, 2, Suite.AES_128_GCM),
        ]
        self.loads = [key.load for key in keys]
        self.packets: list[bytes] = []
        #: By request ID, the plaintext of each forgery, as far as it is that of what was forged.
        self.forged: dict[int, bytes] = {}
        #: By request ID of a copy, that of the record.
        self.replayed: dict[int, int] = {}
        for number, packet in enumerate(self._draw(keys)):
            self.packets.append(_with_id(packet, number))
        model = AcceleratorModel(profile)
        for load in self.loads:
            model.request(load)
        self.expected = [model.request(packet) for packet in self.packets]

    def _draw(self, keys: Sequence[Key]) -> Iterator[bytes]:
        source, next_id = random.Random(1), 0
        for number in range(_COUNT):
            key = keys[number % 3]
            text = source.randbytes(source.choice((24, 30, 31, 40, 63, 100))) + b"\x17"
            if key is keys[2]:
                packet = bytearray(key.aead_open(b"data", text, source.randbytes(12)))
            else:
                packet = bytearray(key.open(text))
            if number % 9 in (3, 7, 8):
                for place in source.sample(range(-_FORGED_BYTES, 0), 2):
                    packet[place] ^= 1 << source.randrange(8)
                self.forged[next_id] = text[:-_SAME_BYTES]
            yield bytes(packet)
            next_id += 1
            if number % 9 in (4, 6):
                self.replayed[next_id] = next_id - 1
                yield bytes(packet)
                next_id += 1


def _with_id(packet: bytes, number: int) -> bytes:
    request = Request.unpack(packet)
    return Request(request.opcode, request.slot, number, request.payload).pack()


def effect_of(opening: Opening, completions: Sequence[bytes]) -> Effect:
    """What is wrong with these completions: the worst of it."""
    if list(completions) == opening.expected:
        return Effect.NONE
    if _lets_out(opening, completions):
        return Effect.FORGERY
    genuine = {packet[HEADER_BYTES:] for packet in opening.expected if packet[1] == Status.OK}
    effects = {Effect.OTHER}
    accepted = {packet[4:6] for packet in completions if packet[1:2] == bytes([Status.OK])}
    for copy, record in opening.replayed.items():
        if {copy.to_bytes(2, "big"), record.to_bytes(2, "big")} <= accepted:
            effects.add(Effect.REPLAY)
    if len(completions) < len(opening.expected):
        effects.add(Effect.WEDGED)
    for completion, expected in zip(completions, opening.expected, strict=False):
        effects.add(_effect_on_one(opening, completion, expected, genuine))
    return next(effect for effect in Effect if effect in effects)


def _lets_out(opening: Opening, completions: Sequence[bytes]) -> bool:
    """Whether plaintext of a forgery is in any completion."""
    received = b"|".join(completions)
    return any(
        text[place : place + _PIECE_BYTES] in received
        for text in opening.forged.values()
        for place in range(len(text) - _PIECE_BYTES + 1)
    )


def _effect_on_one(opening: Opening, packet: bytes, expected: bytes, genuine: set[bytes]) -> Effect:
    """Of a completion where another one was due."""
    if packet == expected:
        return Effect.NONE
    try:
        completion = Completion.unpack(packet)
    except MessageError:
        return Effect.CONTENT
    if completion.status != Status.OK:
        return Effect.REFUSED if expected[1] == Status.OK else Effect.OTHER
    # What is genuine under another request's ID is not that request accepted.
    forged = completion.request_id in opening.forged and completion.payload not in genuine
    if forged and completion.opcode in (Opcode.OPEN, Opcode.AEAD_OPEN):
        return Effect.FORGERY
    return Effect.OTHER if completion.payload == expected[HEADER_BYTES:] else Effect.CONTENT
