"""Random requests for a whole accelerator: good ones, refused ones, and packets that are not any.

`Traffic` plays the host. It keeps a second `AcceleratorModel` as the peer, which holds the same
keys for the other direction, so that records to open are genuine unless it damages them.
"""

import dataclasses
import random
from collections.abc import Iterator

import pytest

from driver.messages import (
    ALL_SLOTS,
    HEADER_BYTES,
    LOAD_BYTES,
    AeadPrefix,
    Completion,
    HeaderForm,
    Load,
    Opcode,
    Request,
    Suite,
    Usage,
)
from hdl.aes.sbox import SBoxForm
from hdl.model import AcceleratorModel
from hdl.profile import AESCore, Profile

#: The serial engine with short records, and limits that a test can reach.
SMALL = Profile(
    "small",
    slots=4,
    largest_record=256,
    window=8,
    seal_limit=40,
    forgery_limit=6,
    build=0xDEC0DED1,
)


def pipelined(profile: Profile, bus_bytes: int = 16, name: str = "") -> Profile:
    """The same device with the engine that takes a block a cycle."""
    return dataclasses.replace(
        profile,
        name=name or f"{profile.name[:3]}-fast",
        aes=AESCore.PIPELINED,
        sbox=SBoxForm.BLOCK_RAM,
        ghash_digit=128,
        bus_bytes=bus_bytes,
    )


def ring(profile: Profile) -> Profile:
    """The same device with one round of AES, and a GHASH that takes several cycles a block."""
    return dataclasses.replace(
        pipelined(profile, bus_bytes=4),
        name=f"{profile.name[:3]}-ring",
        aes=AESCore.RING,
        ghash_digit=16,
    )


SMALL_PIPELINED = pipelined(SMALL)
SMALL_RING = ring(SMALL)
#: Through the adapters of the packet ports.
SMALL_NARROW = pipelined(SMALL, bus_bytes=4, name="narrow")

#: With each AES core, and the engine around it.
ENGINES = [SMALL, SMALL_PIPELINED, SMALL_RING]
#: Crosses a test with them; argument ``profile``.
with_engine = pytest.mark.parametrize("profile", ENGINES, ids=lambda profile: profile.name)

_USAGE_OF_PEER = {Usage.SEAL: Usage.OPEN, Usage.OPEN: Usage.SEAL, Usage.AEAD: Usage.AEAD}


class Traffic:
    """An endless iterator of request packets, the same for the same seed."""

    def __init__(self, profile: Profile, seed: int):
        self._profile = profile
        self._random = random.Random(seed)
        self._peer = AcceleratorModel(profile)
        self._usages: dict[int, Usage] = {}
        self._records: list[tuple[int, bytes]] = []
        self._kinds = [
            (4, self._load),
            (20, self._seal),
            (20, self._open),
            (8, self._repeat),
            (6, self._open_damaged),
            (10, self._aead_seal),
            (10, self._aead_open),
            (1, self._zeroize),
            (2, self._report),
            (2, self._damaged_load),
            (4, self._wrong_length),
            (1, self._too_long),
            (4, self._noise),
        ]

    def __iter__(self) -> Iterator[bytes]:
        for slot in range(self._profile.slots):
            yield self._load(slot)
        weights = [weight for weight, _ in self._kinds]
        while True:
            (_, kind), *_ = self._random.choices(self._kinds, weights)
            yield kind()

    def _slot(self, usage: Usage | None = None) -> int:
        """Any slot; mostly one that is loaded for ``usage``."""
        fitting = [slot for slot, loaded in self._usages.items() if loaded is usage]
        if fitting and self._random.random() < 0.9:
            return self._random.choice(fitting)
        return self._random.randrange(self._profile.slots)

    def _bytes(self, most: int | None = None) -> bytes:
        """Lengths around multiples of 16 as often as any others."""
        most = self._profile.largest_record if most is None else most
        length = self._random.randint(0, most)
        if self._random.random() < 0.5:
            length = length // 16 * 16 + self._random.choice((-1, 0, 1))
        return self._random.randbytes(min(max(length, 0), most))

    def _request(self, opcode: int, slot: int, payload: bytes = b"") -> bytes:
        return Request(opcode, slot, self._random.getrandbits(16), payload).pack()

    def _ask_peer(self, opcode: Opcode, slot: int, payload: bytes) -> bytes:
        request = Request(opcode, slot, 0, payload).pack()
        return Completion.unpack(self._peer.request(request)).payload

    def _load(self, slot: int | None = None) -> bytes:
        slot = self._slot() if slot is None else slot
        # Records of the key that stood there are worthless now.
        self._records = [(other, record) for other, record in self._records if other != slot]
        suite = self._random.choice(list(Suite))
        key_bytes = {Suite.AES_128_GCM: 16, Suite.AES_256_GCM: 32}[suite]
        fields = {
            "suite": suite,
            "key": self._random.randbytes(key_bytes),
            "iv": self._random.randbytes(12),
            "record_number_key": self._random.randbytes(key_bytes),
            "epoch": self._random.getrandbits(16),
            "connection_id": self._random.randbytes(self._random.choice((0, 0, 1, 4, 20))),
            "sequence_number": self._random.choice((0, 250, 65_530, (1 << 48) - 4)),
            "header_form": HeaderForm(self._random.choice((0, 4, 8, 12))),
        }
        usage = self._random.choice(list(Usage))
        self._usages[slot] = usage
        self._ask_peer(Opcode.LOAD, slot, Load(usage=_USAGE_OF_PEER[usage], **fields).pack())
        return self._request(Opcode.LOAD, slot, Load(usage=usage, **fields).pack())

    def _damaged_load(self) -> bytes:
        packet = bytearray(self._load())
        packet[HEADER_BYTES + self._random.randrange(4)] = self._random.choice((0, 3, 21, 255))
        return bytes(packet)

    def _inner_plaintext(self) -> bytes:
        content = self._bytes(self._profile.largest_record - 20)
        padding = bytes(self._random.choice((0, 0, 0, 1, 17)))
        # All zeros now and then: genuine, and without a content type.
        return content + bytes([self._random.choice((22, 23, 26))]) + padding if content else b"\0"

    def _seal(self) -> bytes:
        return self._request(Opcode.SEAL, self._slot(Usage.SEAL), self._inner_plaintext())

    def _open(self) -> bytes:
        slot = self._slot(Usage.OPEN)
        for _ in range(
            self._random.choice((1, 1, 1, 2, 5))
        ):  # the earlier ones come later, if ever
            record = self._ask_peer(Opcode.SEAL, slot, self._inner_plaintext())
            self._records.append((slot, record))
        return self._request(Opcode.OPEN, slot, record)

    def _repeat(self) -> bytes:
        if not self._records:
            return self._open()
        slot, record = self._random.choice(self._records[-30:])
        return self._request(Opcode.OPEN, slot, record)

    def _open_damaged(self) -> bytes:
        if not self._records:
            return self._open()
        slot, record = self._random.choice(self._records[-30:])
        damaged = bytearray(record)
        if damaged:
            place = self._random.choice(
                (0, 0, 1, 2, 3, 4, -1, self._random.randrange(len(damaged)))
            )
            damaged[place % len(damaged)] ^= 1 << self._random.randrange(8)
        if self._random.random() < 0.3:
            del damaged[self._random.randint(0, len(damaged)) :]
        return self._request(Opcode.OPEN, slot, bytes(damaged))

    def _aead_payload(self, text: bytes) -> bytes:
        associated_data = self._bytes(60)
        prefix = AeadPrefix(len(associated_data), self._random.randbytes(12)).pack()
        return prefix + associated_data + text

    def _aead_seal(self) -> bytes:
        payload = self._aead_payload(self._bytes(200))
        return self._request(Opcode.AEAD_SEAL, self._slot(Usage.AEAD), payload)

    def _aead_open(self) -> bytes:
        slot = self._slot(Usage.AEAD)
        text = self._bytes(200)
        payload = self._aead_payload(text)
        sealed = self._ask_peer(Opcode.AEAD_SEAL, slot, payload)
        payload = bytearray(payload[: len(payload) - len(text)] + sealed)
        if self._random.random() < 0.3:
            payload[self._random.randrange(len(payload))] ^= 1 << self._random.randrange(8)
        return self._request(Opcode.AEAD_OPEN, slot, bytes(payload))

    def _zeroize(self) -> bytes:
        slot = self._random.choice((self._slot(), self._slot(), self._slot(), ALL_SLOTS))
        return self._request(Opcode.ZEROIZE, slot)

    def _report(self) -> bytes:
        return self._request(self._random.choice((Opcode.INFO, Opcode.STATS)), 0)

    def _wrong_length(self) -> bytes:
        packet = self._random.choice((self._load, self._seal, self._open, self._aead_seal))()
        if self._random.random() < 0.5:
            return packet + self._random.randbytes(self._random.randint(1, 20))
        return packet[: self._random.randint(1, len(packet) - 1)]

    def _too_long(self) -> bytes:
        profile = self._profile
        longest = {
            Opcode.SEAL: profile.largest_seal,
            Opcode.OPEN: profile.largest_open,
            Opcode.AEAD_SEAL: profile.largest_aead,
            Opcode.AEAD_OPEN: profile.largest_aead,
        }
        opcode, length = self._random.choice(list(longest.items()))
        return self._request(opcode, self._slot(), self._random.randbytes(length + 1))

    def _noise(self) -> bytes:
        opcode = self._random.choice((0, 9, 255, *Opcode))
        slot = self._random.choice((0, self._profile.slots, 0x7FFF, ALL_SLOTS))
        length = self._random.choice((0, 1, 15, 16, 32, LOAD_BYTES))
        packet = bytearray(self._request(opcode, slot, self._random.randbytes(length)))
        packet[1] = self._random.choice((0, 0, 0, 1))  # the reserved byte
        return bytes(packet)
