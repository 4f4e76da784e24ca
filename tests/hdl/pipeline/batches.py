"""Requests that are sent all at once, and what device and model make of them."""

import random
from collections.abc import Iterable

from driver.messages import (
    AEAD_PREFIX_BYTES,
    ALL_SLOTS,
    HEADER_BYTES,
    AeadPrefix,
    HeaderForm,
    Load,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
)
from hdl.model import AcceleratorModel
from hdl.profile import Profile
from tests.hdl.test_accelerator import without_cycles

#: For a batch: more than any needs.
PATIENCE = 100_000
KEY_BYTES = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}


class Key:
    """One key: to load into a slot, and a peer that holds it for the other direction."""

    def __init__(self, profile, seed, usage, slot, suite=Suite.AES_128_GCM, **fields):
        source = random.Random(f"{seed} {slot}")
        keys = {
            "key": source.randbytes(KEY_BYTES[suite]),
            "iv": source.randbytes(12),
            "record_number_key": source.randbytes(KEY_BYTES[suite]),
        }
        fields = {"header_form": HeaderForm(12)} | fields
        reverse = {Usage.SEAL: Usage.OPEN, Usage.OPEN: Usage.SEAL, Usage.AEAD: Usage.AEAD}[usage]
        self.slot = slot
        self.load = Request(
            Opcode.LOAD, slot, 0, Load(suite, usage, **keys, **fields).pack()
        ).pack()
        self._peer = AcceleratorModel(profile)
        self._peer.request(
            Request(Opcode.LOAD, slot, 0, Load(suite, reverse, **keys, **fields).pack()).pack()
        )

    def seal(self, text: bytes) -> bytes:
        """A request for the device to seal."""
        return Request(Opcode.SEAL, self.slot, len(text), text).pack()

    def record(self, text: bytes = b"hello\x17") -> bytes:
        """The next genuine record for the device."""
        return self._ask(Opcode.SEAL, text)

    def open(self, text: bytes = b"hello\x17") -> bytes:
        """A request to open the next genuine record."""
        return open_request(self.slot, self.record(text))

    def aead_seal(self, associated_data: bytes, text: bytes, nonce=bytes(12)) -> bytes:
        prefix = AeadPrefix(len(associated_data), nonce).pack()
        payload = prefix + associated_data + text
        return Request(Opcode.AEAD_SEAL, self.slot, len(text), payload).pack()

    def aead_open(self, associated_data: bytes, text: bytes, nonce=bytes(12)) -> bytes:
        """A request to open a genuine message."""
        prefix = AeadPrefix(len(associated_data), nonce).pack() + associated_data
        sealed = self._ask(Opcode.AEAD_SEAL, prefix + text)
        return Request(Opcode.AEAD_OPEN, self.slot, len(text), prefix + sealed).pack()

    def _ask(self, opcode, payload) -> bytes:
        request = Request(opcode, self.slot, payload=payload).pack()
        return self._peer.request(request)[HEADER_BYTES:]


def open_request(slot: int, record: bytes) -> bytes:
    return Request(Opcode.OPEN, slot, len(record), record).pack()


def flipped(packet: bytes, position: int = -1) -> bytes:
    """The packet with one bit turned over: in its tag, unless told otherwise."""
    damaged = bytearray(packet)
    damaged[position] ^= 1
    return bytes(damaged)


def refused(profile: Profile, key: Key) -> list[bytes]:
    """Packets of every kind that are refused, and of every length.

    They are for slots 0, 1 and 2, which seal, open, and hold a key for messages; 0 is of ``key``.
    """
    seal = key.seal(b"some text, longer than a block\x17")
    stats = Request(Opcode.STATS).pack()
    kinds = [
        *(seal[:length] for length in (1, 2, 4, 7, 8, 9, 16, 17, 32, 38)),
        *(seal + bytes(count) for count in (1, 8, 9, 16, 17, 100)),
        Request(0, 0).pack(),
        Request(9, 0, payload=bytes(40)).pack(),
        Request(Opcode.SEAL, profile.slots, payload=b"\x17" * 20).pack(),
        Request(Opcode.SEAL, 0, payload=bytes(profile.largest_seal + 1)).pack(),
        Request(Opcode.SEAL, 0).pack(),
        Request(Opcode.OPEN, 0, payload=bytes(30)).pack(),
        Request(Opcode.OPEN, 1, payload=bytes(30)).pack(),
        Request(Opcode.OPEN, 1, payload=b"\x2c" + bytes(60)).pack(),
        Request(Opcode.OPEN, 1).pack(),
        Request(Opcode.AEAD_SEAL, 2, payload=bytes(15)).pack(),
        Request(Opcode.AEAD_SEAL, 2, payload=b"\0\x21" + bytes(40)).pack(),
        Request(Opcode.AEAD_SEAL, 2, payload=b"\0\1\0\1" + bytes(40)).pack(),
        Request(Opcode.AEAD_OPEN, 2, payload=bytes(AEAD_PREFIX_BYTES + 15)).pack(),
        Request(Opcode.AEAD_OPEN, 0, payload=bytes(AEAD_PREFIX_BYTES + 40)).pack(),
        Request(Opcode.AEAD_OPEN, 2, payload=bytes(AEAD_PREFIX_BYTES + 40)).pack(),
        Request(Opcode.LOAD, 0, payload=bytes(107)).pack(),
        Request(Opcode.LOAD, 0, payload=bytes(108)).pack(),
        Request(Opcode.LOAD, 0, payload=bytes(109)).pack(),
        Request(Opcode.LOAD, profile.slots + 5, payload=bytes(108)).pack(),
        key.load[:60],
        key.load + b"\0",
        Request(Opcode.ZEROIZE, 0, payload=b"\0").pack(),
        Request(Opcode.ZEROIZE, profile.slots).pack(),
        Request(Opcode.INFO, 0, payload=bytes(20)).pack(),
        stats[:1] + b"\1" + stats[2:],
    ]
    return [*kinds, *(kind[:6] + b"\xff\xff" + kind[8:] for kind in kinds if len(kind) > 8)]


class Device:
    """An accelerator and its model, asked the same."""

    def __init__(self, simulation, profile):
        self.profile = profile
        self._simulation = simulation
        self._model = AcceleratorModel(profile)

    def send_all(self, packets: Iterable[bytes]) -> list[Status]:
        """Send at once; all completions must be the model's, in order. Their statuses."""
        packets = list(packets)
        completions = self._simulation.exchange(packets, PATIENCE)
        for number, (packet, completion) in enumerate(zip(packets, completions, strict=False)):
            expected = self._model.request(packet)
            assert without_cycles(completion).hex() == without_cycles(expected).hex(), (
                f"request {number} of {len(packets)}: {packet.hex()}"
            )
        assert len(completions) == len(packets), (
            f"wedged at request {len(completions)}: {packets[len(completions)].hex()}"
        )
        return [Status(completion[1]) for completion in completions]

    def clear(self, *keys: Key) -> None:
        """No keys but these."""
        packets = [Request(Opcode.ZEROIZE, ALL_SLOTS).pack(), *(key.load for key in keys)]
        assert set(self.send_all(packets)) == {Status.OK}
