"""Constrained random requests for a whole accelerator: what may come together, and in any order.

The records to open are made by `protocol` and OpenSSL, not by the model that says what to expect.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cocotb_tests.host import aead_payload
from cocotb_tests.records import FORMS, SUITES, Direction
from driver.messages import ALL_SLOTS, LOAD_BYTES, HeaderForm, Opcode, Request, Usage
from hdl.profile import Profile
from protocol.record_number import LIMIT

__all__ = ["Traffic"]

#: Slots that one sequence uses, so that they have records enough.
_SLOTS = 4
#: How far a number of 8 bits on the wire may be from what the device expects. What is under way
#: has not moved its window yet (`hdl.pipeline.numbering`), so it is the same for all of a batch.
_REACH = 100
_FIRST_NUMBERS = {
    Usage.SEAL: (0, 250, 254, 65_530, 65_534, LIMIT - 4),
    Usage.OPEN: (0, 225, 65_500, 65_500, LIMIT - 40),
    Usage.AEAD: (0,),
}


@dataclass
class _Slot:
    """What a slot was loaded with; of one to open, the numbers that were sent."""

    direction: Direction
    usage: Usage
    newest: int
    #: ``newest`` when the batch began.
    newest_before: int
    sent: list[int] = field(default_factory=list)


class Traffic:
    """An endless iterator of batches of request packets, the same for the same seed.

    Packets of a batch may be under way together.
    """

    def __init__(self, profile: Profile, seed: str):
        self._profile = profile
        self._random = Random(f"traffic {seed}")
        others = self._random.sample(range(1, profile.slots - 1), _SLOTS - 2)
        self._numbers = [0, *others, profile.slots - 1]
        self._slots: dict[int, _Slot] = {}
        self._kinds = [
            (16, self._seal),
            (28, self._open),
            (7, self._open_damaged),
            (9, self._aead_seal),
            (11, self._aead_open),
            (5, self._load),
            (4, self._zeroize),
            (2, self._load_and_use),
            (2, self._report),
            (2, self._wrong_load),
            (3, self._wrong_slot),
            (1, self._too_long),
            (1, self._last_numbers),
            (4, self._wrong_framing),
            (1, self._wrong_length),
            (1, self._unknown),
        ]

    def __iter__(self) -> Iterator[list[bytes]]:
        yield [packet for number in self._numbers for packet in self._load(number)]
        while True:
            yield self._batch()

    def _batch(self) -> list[bytes]:
        """Up to some 40 packets: of all kinds, or mostly records of one or two slots."""
        rng = self._random
        for slot in self._slots.values():
            slot.newest_before = slot.newest
        kinds = self._kinds
        if rng.random() < 0.4:
            kinds = [(1, rng.choice((self._seal, self._open, self._aead_seal, self._aead_open)))]
            kinds += rng.sample(self._kinds, 2)
        weights = [weight for weight, _ in kinds]
        packets: list[bytes] = []
        for _ in range(rng.choice((1, 4, 12, 30))):
            (_, kind), *_ = rng.choices(kinds, weights)
            packets += kind()
        return packets

    def _request(self, opcode: int, slot: int, payload: bytes = b"") -> list[bytes]:
        return [Request(opcode, slot, self._random.getrandbits(16), payload).pack()]

    def _number(self, usage: Usage) -> int:
        """A slot for ``usage``; any if there is none."""
        fitting = [number for number, slot in self._slots.items() if slot.usage is usage]
        return self._random.choice(fitting or self._numbers)

    def _length(self, most: int) -> int:
        """Mostly short; around multiples of 16 as often as any other; the longest at times."""
        rng = self._random
        longest = rng.choice((20, 40, 40, 80, 80, 300)) if rng.random() < 0.97 else most
        length = most if longest == most else rng.randint(0, longest)
        if rng.random() < 0.4 and length != most:
            length = length // 16 * 16 + rng.choice((-1, 0, 1))
        return min(max(length, 0), most)

    def _inner(self) -> bytes:
        """A DTLSInnerPlaintext; without a content type at times."""
        rng = self._random
        if rng.random() < 0.05:
            return bytes(rng.randint(1, 40))
        content = rng.randbytes(self._length(self._profile.largest_record))
        padding = min(rng.choice((0, 0, 0, 1, 9, 30)), self._profile.largest_record - len(content))
        return content + bytes([rng.randint(1, 255)]) + bytes(padding)

    def _load(self, number: int | None = None, usage: Usage | None = None) -> list[bytes]:
        rng = self._random
        number = rng.choice(self._numbers) if number is None else number
        usage = usage or rng.choice((Usage.SEAL, Usage.OPEN, Usage.OPEN, Usage.AEAD))
        direction = Direction.random(rng, rng.choice(SUITES))
        first = rng.choice(_FIRST_NUMBERS[usage])
        self._slots[number] = _Slot(direction, usage, first - 1, first - 1)
        load = direction.load(usage, rng.choice(FORMS), first)
        return self._request(Opcode.LOAD, number, load.pack())

    def _load_and_use(self) -> list[bytes]:
        """A slot is loaded anew between two records of its own."""
        use = self._random.choice((self._seal, self._open, self._aead_seal))
        usage = {self._seal: Usage.SEAL, self._open: Usage.OPEN}.get(use, Usage.AEAD)
        number = self._number(usage)
        return [*use(number), *self._load(number, usage), *use(number)]

    def _zeroize(self) -> list[bytes]:
        """One slot or all, amid the records of it and of others; then it is mostly filled again."""
        rng = self._random
        number = rng.choice((*self._numbers, ALL_SLOTS))
        used = rng.choice(self._numbers) if number == ALL_SLOTS else number
        before = self._use(rng.choice((used, *self._numbers)))
        behind = self._use(rng.choice((used, *self._numbers)))
        zeroized = self._numbers if number == ALL_SLOTS else [number]
        for one in zeroized:
            self._slots.pop(one, None)
        packets = [*before, *self._request(Opcode.ZEROIZE, number), *behind]
        filled = [one for one in zeroized if rng.random() < 0.8]
        return [*packets, *(packet for one in filled for packet in self._load(one))]

    def _use(self, number: int) -> list[bytes]:
        """A message that fits what the slot is for; one to seal if it is empty."""
        slot = self._slots.get(number)
        if slot and slot.usage is Usage.OPEN:
            return self._open(number)
        return self._aead_seal(number) if slot and slot.usage is Usage.AEAD else self._seal(number)

    def _seal(self, number: int | None = None) -> list[bytes]:
        number = self._number(Usage.SEAL) if number is None else number
        return self._request(Opcode.SEAL, number, self._inner())

    def _open(self, number: int | None = None) -> list[bytes]:
        """A genuine record: new, or sent before; now and then of another epoch."""
        rng = self._random
        number = self._number(Usage.OPEN) if number is None else number
        slot = self._slots.get(number)
        if slot is None or slot.usage is not Usage.OPEN:
            return self._request(Opcode.OPEN, number, rng.randbytes(self._length(60)))
        direction, sequence_number = slot.direction, self._sequence_number(slot)
        form = self._form(slot, sequence_number)
        if rng.random() < 0.12:
            epoch = direction.epoch + rng.randint(1, 3)
            direction = Direction(direction.keys, epoch, direction.connection_id)
        else:
            slot.newest = max(slot.newest, sequence_number)
            slot.sent.append(sequence_number)
        record = direction.seal(sequence_number, self._inner(), form)
        return self._request(Opcode.OPEN, number, record)

    def _sequence_number(self, slot: _Slot) -> int:
        """Where the window has its edges, and on both sides of them."""
        rng, newest, window = self._random, slot.newest, self._profile.window
        choices = [
            *(newest + 1, newest + 1, newest + 1, newest + rng.randint(2, 9)),
            *(newest + rng.randint(window, 2 * window), newest - rng.randint(1, window - 2)),
            *(newest, newest - window + 1, newest - window, newest - window - rng.randint(1, 30)),
            rng.choice(slot.sent[-30:] or [newest]),
            # Where the bits above those that are sent differ, if that is near.
            newest - newest % 256 - rng.randint(1, 9) if newest % 256 < window - 9 else newest + 1,
        ]
        return min(max(rng.choice(choices), 0), LIMIT - 1)

    def _form(self, slot: _Slot, sequence_number: int) -> HeaderForm:
        """Any; but 8 bits must be enough, whatever of the batch the device has opened yet."""
        form = self._random.choice(FORMS)
        distances = (sequence_number - expected for expected in (slot.newest, slot.newest_before))
        if max(map(abs, distances)) > _REACH:
            form |= HeaderForm.SEQUENCE_NUMBER_16
        return form

    def _open_damaged(self) -> list[bytes]:
        """A record with a bit turned over, cut short or continued."""
        rng = self._random
        number = self._number(Usage.OPEN)
        slot = self._slots.get(number)
        if slot is None or slot.usage is not Usage.OPEN:
            return self._open(number)
        direction = slot.direction
        record = bytearray(direction.seal(slot.newest + 1, self._inner(), rng.choice(FORMS)))
        match rng.randrange(5):
            case 0:
                del record[rng.randrange(len(record)) :]
            case 1:
                record += rng.randbytes(rng.randint(1, 20))
            case 2:
                record[rng.randrange(4)] ^= 1 << rng.randrange(8)
            case _:
                record[rng.randrange(len(record))] ^= 1 << rng.randrange(8)
        return self._request(Opcode.OPEN, number, bytes(record))

    def _message(self) -> tuple[bytes, bytes, bytes]:
        """Nonce, associated data and text."""
        rng = self._random
        associated_data = rng.randbytes(rng.choice((0, 1, 15, 16, 17, self._length(90))))
        most = self._profile.largest_aead - len(aead_payload(bytes(12), associated_data, bytes(16)))
        return rng.randbytes(12), associated_data, rng.randbytes(self._length(most))

    def _aead_seal(self, number: int | None = None) -> list[bytes]:
        number = self._number(Usage.AEAD) if number is None else number
        nonce, associated_data, text = self._message()
        if len(text) > 400:  # the longest request has 16 bytes more than the longest to open
            text += self._random.randbytes(16)
        return self._request(Opcode.AEAD_SEAL, number, aead_payload(nonce, associated_data, text))

    def _aead_open(self) -> list[bytes]:
        """A message; forged now and then."""
        number = self._number(Usage.AEAD)
        nonce, associated_data, text = self._message()
        slot = self._slots.get(number)
        if slot is None:
            return self._request(Opcode.AEAD_OPEN, number, aead_payload(nonce, b"", bytes(16)))
        sealed = AESGCM(slot.direction.keys.key).encrypt(nonce, text, associated_data)
        payload = bytearray(aead_payload(nonce, associated_data, sealed))
        if self._random.random() < 0.2:
            payload[self._random.randrange(4, len(payload))] ^= 1 << self._random.randrange(8)
        return self._request(Opcode.AEAD_OPEN, number, bytes(payload))

    def _report(self) -> list[bytes]:
        opcode = self._random.choice((Opcode.INFO, Opcode.STATS))
        return self._request(opcode, self._random.choice(self._numbers))

    def _wrong_load(self) -> list[bytes]:
        """With a suite or another field out of its range; it leaves the slot as it was."""
        rng = self._random
        load = bytearray(Direction.random(rng, rng.choice(SUITES)).load(Usage.SEAL).pack())
        load[rng.randrange(4)] = rng.choice((0x13, 0x40, 0xFF))
        return self._request(Opcode.LOAD, rng.choice(self._numbers), bytes(load))

    def _wrong_slot(self) -> list[bytes]:
        """A slot that there is not, or that is empty or for something else."""
        rng = self._random
        slots = self._profile.slots
        kinds = (Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN)
        number = rng.choice((slots, 0x7FFF, ALL_SLOTS - 1, rng.randrange(slots), *self._numbers))
        if number >= slots and rng.random() < 0.3:
            empty = (Opcode.ZEROIZE, b""), (Opcode.LOAD, bytes(LOAD_BYTES))
            opcode, payload = rng.choice(empty)
            return self._request(opcode, number, payload)
        payload = aead_payload(rng.randbytes(12), b"", rng.randbytes(rng.randint(16, 60)))
        opcode = rng.choice(kinds)
        slot = self._slots.get(number)
        if slot and slot.usage is Usage.AEAD:
            opcode = rng.choice((Opcode.SEAL, Opcode.OPEN))
        elif slot:
            opcode = rng.choice((Opcode.AEAD_SEAL, Opcode.AEAD_OPEN))
        return self._request(opcode, number, payload)

    def _too_long(self) -> list[bytes]:
        profile = self._profile
        longest = {
            Opcode.SEAL: profile.largest_seal,
            Opcode.OPEN: profile.largest_open,
            Opcode.AEAD_SEAL: profile.largest_aead,
            Opcode.AEAD_OPEN: profile.largest_aead,
        }
        opcode, length = self._random.choice(list(longest.items()))
        payload = bytes(length + self._random.randint(1, 20))
        return self._request(opcode, self._random.choice(self._numbers), payload)

    def _last_numbers(self) -> list[bytes]:
        """The last records that a key seals and one too many, or the last ones that it opens."""
        rng = self._random
        number = rng.choice(self._numbers)
        if rng.random() < 0.5:
            self._load(number, Usage.SEAL)
            load = self._slots[number].direction.load(Usage.SEAL, rng.choice(FORMS), LIMIT - 3)
            packets = self._request(Opcode.LOAD, number, load.pack())
            return [*packets, *(packet for _ in range(3) for packet in self._seal(number))]
        self._load(number, Usage.OPEN)
        slot = self._slots[number]
        slot.newest = slot.newest_before = LIMIT - 4
        load = slot.direction.load(Usage.OPEN, first=LIMIT - 3)
        packets = self._request(Opcode.LOAD, number, load.pack())
        return [*packets, *(packet for _ in range(4) for packet in self._open(number))]

    def _wrong_framing(self) -> list[bytes]:
        """A packet that is shorter or longer than it says, or whose reserved byte is not 0."""
        rng = self._random
        payload = rng.randbytes(rng.randint(0, 60))
        opcode, number = rng.choice((*Opcode, 0, 99)), rng.choice(self._numbers)
        (packet,) = self._request(opcode, number, payload)
        match rng.randrange(4):
            case 0:
                return [packet[: rng.randint(1, 7)]]
            case 1:
                return [packet + rng.randbytes(rng.randint(1, 40))]
            case 2:
                return [packet[:1] + bytes([1 << rng.randrange(8)]) + packet[2:]]
            case _:
                return [packet[:6] + bytes([0, len(payload) + rng.randint(1, 60)]) + packet[8:]]

    def _wrong_length(self) -> list[bytes]:
        """A payload that its opcode cannot have."""
        rng = self._random
        opcode, length = rng.choice(
            (
                *((Opcode.INFO, 1), (Opcode.STATS, 8), (Opcode.ZEROIZE, 3), (Opcode.SEAL, 0)),
                *((Opcode.LOAD, LOAD_BYTES - 1), (Opcode.LOAD, LOAD_BYTES + 1)),
                *((Opcode.AEAD_SEAL, 15), (Opcode.AEAD_OPEN, 31)),
            )
        )
        return self._request(opcode, rng.choice(self._numbers), bytes(length))

    def _unknown(self) -> list[bytes]:
        rng = self._random
        return self._request(rng.choice((0, 9, 0x55, 0xFF)), 0, rng.randbytes(rng.randint(0, 30)))
