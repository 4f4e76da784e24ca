"""What a mutant has to pass: runs of requests over the packet port, cheapest and sharpest first.

The bodies are those of `tests/hdl`, for the profile at hand. Each run begins at reset.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice, product

from driver.messages import ALL_SLOTS, TAG_BYTES, HeaderForm, Load, Opcode, Request, Suite, Usage
from hdl.aes import encrypt_block, expand_key
from hdl.profile import COMPACT, Profile
from sim import StreamTiming
from sim.stream_timing import FULL_RATE
from tests.hdl.pipeline.batches import Key, flipped, open_request, refused
from tests.hdl.traffic import Traffic

__all__ = ["INFO", "Run", "suite"]

#: Of a key; shorter ones may come up by chance.
_PIECE_BYTES = 8
LAST_NUMBER = (1 << 48) - 1
INFO, STATS = Request(Opcode.INFO).pack(), Request(Opcode.STATS).pack()
WIPE = Request(Opcode.ZEROIZE, ALL_SLOTS).pack()


@dataclass(frozen=True)
class Run:
    """Packets for one simulation: each when the one before has been answered, or all at once.

    Where memories are ``filled``, they hold anything at reset. Where there are ``resets``, the
    packets have been sent before, once for each, and after so many cycles the device was reset.
    When all is answered, none of ``secrets`` is in any register or memory.
    """

    name: str
    packets: tuple[bytes, ...]
    together: bool
    timing: StreamTiming = FULL_RATE
    filled: bool = False
    resets: tuple[int, ...] = ()
    secrets: tuple[bytes, ...] = ()


def suite(profile: Profile) -> Iterator[Run]:
    """All runs, in the order in which they are tried."""
    yield _run("refusals", refusals(profile), False)
    yield _run("lengths", lengths(profile), True)
    yield _run("header forms", header_forms(profile), True)
    yield _run("limits and windows", limits(profile), True)
    yield _run("every slot", every_slot(profile), True)
    yield _run("tags", tags(), True)
    yield _run("every slot, from any memory", every_slot(profile), True, filled=True)
    yield _forgotten(profile)
    yield _run("longest", longest(profile), True)
    yield _run("a stalled receiver", stalled(profile), True, 0.0, 0.95)
    yield _run("a full buffer", full_buffer(profile), True, 0.0, 0.9)
    yield _run("a full queue", full_queue(profile), True, 0.0, 0.9)
    yield _run("random", islice(Traffic(profile, 1), 60), False)
    yield _run("random, in flight", islice(Traffic(profile, 2), 300), True)
    yield _run("random, idle and stalled", islice(Traffic(profile, 3), 150), True, 0.3, 0.5)
    yield _run("random, slowly", islice(Traffic(profile, 5), 100), True, 0.7, 0.2)
    yield _run("random, in flight, more", islice(Traffic(profile, 4), 500), True)
    yield _run("neighbours", neighbours(), True, 0.8)
    yield _run("late tags", late_tags(), True, 0.88)
    yield _restarted(profile)


def _run(name, packets, together, idle=0.0, stall=0.0, filled=False) -> Run:
    return Run(name, tuple(packets), together, StreamTiming(idle, stall, seed=1), filled)


def _key(seed, usage, slot, suite=Suite.AES_128_GCM, **fields) -> Key:
    """A key whose peer has no limits but those of the RFC."""
    return Key(COMPACT, seed, usage, slot, suite, **fields)


def refusals(profile: Profile) -> Iterator[bytes]:
    """Every refusal of a request, and between them what is not refused."""
    seals, opens = _key("refusals", Usage.SEAL, 0), _key("refusals", Usage.OPEN, 1)
    messages = _key("refusals", Usage.AEAD, 2)
    yield from (INFO, WIPE, seals.load, opens.load, messages.load)
    for number, packet in enumerate(refused(profile, seals)):
        yield packet
        text = bytes([number]) * (number % 40) + b"\x17"
        yield (seals.seal, opens.open, lambda text: messages.aead_seal(b"ad", text))[number % 3](
            text
        )
    # One bit of what stands at the front of LOAD is wrong: suite, usage, form, a length.
    for bit in range(32):
        packet = bytearray(seals.load)
        packet[8 + bit // 8] ^= 1 << bit % 8
        yield bytes(packet)
    yield STATS


def limits(profile: Profile) -> Iterator[bytes]:
    """What a key may do, the last numbers, and every distance from the window."""
    source = random.Random(3)
    for suite in Suite:
        seals = _key("limits", Usage.SEAL, 0, suite)
        yield seals.load
        for _ in range(profile.seal_limit + 2):
            yield seals.seal(source.randbytes(source.choice((0, 15, 30))) + b"\x17")
        opens = _key("limits", Usage.OPEN, 1, suite)
        yield opens.load
        record = opens.open()
        for _ in range(profile.forgery_limit - 1):
            yield flipped(record, source.randrange(-18, 0))
        yield from (record, record, flipped(record), opens.open(), opens.open())
        # Behind its limit, a genuine record leaves no trace.
        yield from (genuine := opens.open(), genuine, record, STATS)
        # What is no record to open has nothing to do with the limit.
        for opcode in (0, *(code for code in Opcode if code != Opcode.LOAD)):
            slot = 0 if opcode == Opcode.ZEROIZE else 1
            yield Request(opcode, slot, payload=b"\x17" * 40).pack()
        yield from (Request(Opcode.INFO, 1).pack(), Request(Opcode.STATS, 1).pack())
        last = {"sequence_number": LAST_NUMBER - 2}
        seals = _key("last", Usage.SEAL, 0, suite, **last)
        opens = _key("last", Usage.OPEN, 1, suite, **last)
        records = [opens.open(), opens.open()]
        yield from (seals.load, *[seals.seal(b"\x17")] * 4, opens.load)
        yield from (records[1], records[0], records[1], records[0])
    yield from windows(profile)


def windows(profile: Profile) -> Iterator[bytes]:
    """Jumps of all sizes up to twice the window, and copies on both sides of its edges."""
    source, width = random.Random(4), profile.window
    opens = _key("windows", Usage.OPEN, 3)
    yield opens.load
    records = [opens.open(b"\x17") for _ in range(20 * width)]
    highest = 0
    while highest < len(records) - 1:
        jump = source.choice((1, 1, 2, 3, width - 1, width, width + 1, source.randrange(2 * width)))
        highest = min(highest + jump, len(records) - 1)
        yield records[highest]
        for back in (0, 1, width - 1, width, width + 1, source.randrange(width + 2)):
            yield records[max(highest - back, 0)]
    # Each number of some windows, once and twice, the highest first.
    yield opens.load
    for start in range(0, 6 * width, width):
        *behind, first = records[start : start + width]
        yield first
        for _ in range(2):
            yield from source.sample(behind, len(behind))
    # Jumps where the ring is full: from and to the first and last bits of each row, over others,
    # all the way around, and beyond that to the same row; then from each bit of a row to each of
    # those behind it. Copies of what stays on both sides, and all that was jumped over.
    jumps = [15, *(10, 14) * 8, *(58, 14) * 8, 1, *(1, 6, 1) * 8, *(16, 8) * 8, 65, 65]
    highest = width - 1 + sum(jumps)
    for start, end in combinations_with_replacement(range(8), 2):
        for following in (start - 1, end):
            jumps.append((following - highest - 1) % 8 + 1)
            highest += jumps[-1]
    full = _key("rows", Usage.OPEN, 4)
    seen = [full.open(b"\x17") for _ in range(width)]
    yield from (full.load, *seen)
    for jump in jumps:
        *skipped, first = [full.open(b"\x17") for _ in range(jump)]
        stays = seen[jump:]
        yield from (first, *stays[:7], *stays[-7:], *skipped)
        seen = [*stays, *skipped, first][-width:]
    # Numbers of 8 bits, found by those before them.
    short = _key("windows", Usage.OPEN, 5, header_form=HeaderForm(4))
    yield short.load
    for _ in range(600):
        packet = short.open(bytes(source.randrange(40)) + b"\x17")
        if source.random() < 0.5:
            yield packet
    yield STATS


def header_forms(profile: Profile) -> Iterator[bytes]:
    """All forms, with connection IDs of all lengths, and each byte of a header damaged."""
    for number, (form, size) in enumerate(product((0, 4, 8, 12), range(21))):
        suite = list(Suite)[number % 2]
        source = random.Random(f"{size} {form}")
        fields = {
            "header_form": HeaderForm(form),
            "connection_id": source.randbytes(size),
            "epoch": source.getrandbits(16),
            "sequence_number": source.choice((0, 250, 65_530, source.getrandbits(47))),
        }
        seals = _key("forms", Usage.SEAL, form // 4, suite, **fields)
        opens = _key("forms", Usage.OPEN, 4 + form // 4, suite, **fields)
        yield from (seals.load, opens.load)
        for length in (1, 2, 16, 17):
            text = source.randbytes(length - 1) + b"\x17"
            yield from (seals.seal(text), opens.open(text))
        header_bytes = 1 + size + (2 if form & 8 else 1) + (2 if form & 4 else 0)
        packet = opens.open(b"text\x17")
        damaged = bytearray(packet)
        damaged[8 + source.randrange(header_bytes)] ^= 1 << source.randrange(8)
        yield from (bytes(damaged), packet)
    # What a message authenticates has no header in it, wherever one of its key would have a number.
    for size in range(21):
        messages = _key("forms", Usage.AEAD, 8, connection_id=source.randbytes(size))
        associated = source.randbytes(48)
        yield from (messages.load, messages.aead_seal(associated, b"text"))
        yield messages.aead_open(associated, b"text")


def neighbours() -> Iterator[bytes]:
    """Records to open of slots with nearly the same number, whose own numbers are far apart.

    With idle streams, each comes in any cycle of the others' verdicts, which move their slots.
    """
    source = random.Random(9)
    keys = [
        _key("neighbours", Usage.OPEN, slot, sequence_number=source.getrandbits(47))
        for slot in (0, 1, 4, 5)
    ]
    yield from (key.load for key in keys)
    for _ in range(300):
        yield source.choice(keys).open(bytes(source.randrange(40)) + b"\x17")


def late_tags() -> Iterator[bytes]:
    """Tags that wait until the one before has given its sample, and so meet another text.

    All others come at fixed distances from blocks of text, and meet none. It takes a message
    without text close behind short records, and a record that comes just in time: here, one does.
    """
    source = random.Random(13)
    messages = _key("late tags", Usage.AEAD, 1)
    first, second, third = [_key("late tags", Usage.SEAL, slot) for slot in (0, 2, 3)]
    for number in range(40):
        if number % 9 == 0:
            yield from (key.load for key in (first, messages, second, third))
        yield first.seal(bytes(source.randrange(150, 260)) + b"\x17")
        yield first.seal(bytes(source.choice((15, 16, 20))) + b"\x17")
        yield second.seal(bytes(source.choice((15, 15, 16, 20))) + b"\x17")
        yield messages.aead_seal(b"", b"")
        yield third.seal(bytes(source.randrange(20)) + b"\x17")


def lengths(profile: Profile) -> Iterator[bytes]:
    """All lengths of text, padding and associated data modulo 16, records and messages mixed."""
    source = random.Random(5)
    for suite in Suite:
        seals = _key("lengths", Usage.SEAL, 0, suite)
        opens = _key("lengths", Usage.OPEN, 1, suite)
        messages = _key("lengths", Usage.AEAD, 2, suite)
        yield from (seals.load, opens.load, messages.load)
        for length in range(36):
            text, associated = source.randbytes(length), source.randbytes((7 * length) % 35)
            opened = messages.aead_open(associated, text, source.randbytes(12))
            yield from (seals.seal(text + b"\x17"), opens.open(text + b"\x16"))
            yield messages.aead_seal(associated, text, source.randbytes(12))
            yield from (opened, flipped(opened, source.randrange(24, len(opened))))
            yield opens.open(text[:3] + b"\x17" + bytes(length))
            yield flipped(opens.open(text + b"\x17"), source.randrange(-17 - length, 0))
        yield from (opens.open(bytes(1)), opens.open(bytes(40)))
        # Lengths wait for a verdict while others are judged.
        for count in range(9):
            yield seals.seal(bytes(100) + b"\x17")
            yield from [Request(Opcode.SEAL, 9).pack()] * count
            yield from (opens.open(b"\x17"), opens.open(b"ab\x17" + bytes(9)), opens.open(b"c\x17"))
    # Each bit of a block as the only one that is not zero: the content ends there.
    opens = _key("bits", Usage.OPEN, 3)
    yield opens.load
    yield from (opens.open((1 << bit).to_bytes(16, "little")) for bit in range(128))


def tags() -> Iterator[bytes]:
    """A message as it was sealed, and with each bit of its tag turned over."""
    messages = _key("tags", Usage.AEAD, 0)
    yield messages.load
    packet = messages.aead_open(b"data", b"text")
    yield packet
    for bit in range(8 * TAG_BYTES):
        damaged = bytearray(packet)
        damaged[-1 - bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def every_slot(profile: Profile) -> Iterator[bytes]:
    """A key in each slot, used in turn; each wiped by itself, then all at once."""
    keys = [
        _key("slots", list(Usage)[slot % 3], slot, list(Suite)[slot // 3 % 2])
        for slot in range(profile.slots)
    ]
    yield from (key.load for key in keys)

    def use_all():
        for key in keys:
            yield from (key.seal(b"some text\x17"), key.aead_seal(b"data", b"text"))
            yield open_request(key.slot, b"\x2c\0\0\0\x20" + bytes(32))

    yield from use_all()
    yield from use_all()
    for key in keys[::2]:
        yield Request(Opcode.ZEROIZE, key.slot).pack()
    yield from use_all()
    yield from (key.load for key in reversed(keys))
    yield from use_all()
    yield WIPE
    yield from use_all()
    yield STATS


def _forgotten(profile: Profile) -> Run:
    """Keys that were loaded and used, refused or cut off, and then wiped."""
    source = random.Random(8)
    packets, secrets = [], []
    for slot, (suite, usage) in enumerate(product(Suite, Usage)):
        key_bytes = 32 if suite is Suite.AES_256_GCM else 16
        key, number_key = source.randbytes(key_bytes), source.randbytes(key_bytes)
        load = Load(suite, usage, key, source.randbytes(12), number_key).pack()
        packets += [
            Request(Opcode.LOAD, slot, payload=load).pack(),
            Request(Opcode.SEAL, slot, payload=b"some text\x17").pack(),
            Request(Opcode.LOAD, slot, payload=b"\x07" + load[1:]).pack(),
            Request(Opcode.LOAD, slot, payload=load).pack()[:-1],
            *[Request(Opcode.ZEROIZE, slot).pack()] * (slot % 2),
        ]
        h = encrypt_block(key, bytes(16))
        secrets += [*expand_key(key), *expand_key(number_key), h]
        # Where LOAD collects what it gets, rows do not begin with a key.
        secrets += [
            each[place : place + _PIECE_BYTES]
            for each in (key, number_key)
            for place in range(key_bytes - _PIECE_BYTES + 1)
        ]
    return Run("forgotten keys", (*packets, WIPE), True, secrets=tuple(secrets))


def _restarted(profile: Profile) -> Run:
    """Slots that are empty behind a reset, whatever was under way before it, and are then used."""
    empty = [
        request.pack()
        for slot in range(profile.slots)
        for request in (
            Request(Opcode.SEAL, slot, payload=b"text\x17"),
            Request(Opcode.OPEN, slot, payload=b"\x2c\0\0\0\x20" + bytes(32)),
        )
    ]
    packets = (STATS, *empty, *islice(Traffic(profile, 6), 60), STATS)
    # The last one comes when all has been answered.
    resets = (*range(1_000, 13_000, 900), 45_000)
    return Run("behind a reset", packets, True, resets=resets)


def longest(profile: Profile) -> Iterator[bytes]:
    """Records and messages of the greatest length, between short ones."""
    source = random.Random(6)
    for suite in Suite:
        identity = {"connection_id": source.randbytes(20)}
        seals = _key("longest", Usage.SEAL, 0, suite, **identity)
        opens = _key("longest", Usage.OPEN, 1, suite, **identity)
        messages = _key("longest", Usage.AEAD, 2, suite)
        yield from (seals.load, opens.load, messages.load)
        for content in (profile.largest_record, profile.largest_record - 1):
            text = source.randbytes(content) + b"\x17"
            yield from (seals.seal(text), seals.seal(b"\x17"), opens.open(text), opens.open())
        yield from [seals.seal(text)] * 10
        padded = b"\x17" + bytes(profile.largest_record)
        yield from (opens.open(padded), flipped(opens.open(padded)), STATS)
        yield from _too_long(profile, suite)
        associated, text = source.randbytes(256), source.randbytes(profile.largest_record)
        yield from (messages.aead_seal(associated, text), messages.aead_open(associated, text))
        yield messages.aead_seal(associated + bytes(1), text + b"no")
        # Without associated data, a message may have more text than any record.
        yield messages.aead_seal(b"", text + associated + bytes(TAG_BYTES))
        opened = messages.aead_open(b"", text + associated)
        yield from (opened, flipped(opened))
    # The room of each block that a record had comes back, or there is none for the last one.
    opens = _key("rooms", Usage.OPEN, 3)
    short = opens.open(bytes(16) + b"\x17")
    yield from (opens.load, *[short] * 500, opens.open(bytes(profile.largest_record) + b"\x17"))


def _too_long(profile: Profile, suite: Suite) -> Iterator[bytes]:
    """Records as long as any, or longer, but not as any with the longest header."""
    for slot, (form, size) in enumerate(((0, 0), (4, 5), (8, 10), (12, 12), (12, 20)), 3):
        fields = {"header_form": HeaderForm(form), "connection_id": bytes(size)}
        opens = _key("too long", Usage.OPEN, slot, suite, **fields)
        yield from (opens.load, opens.open(bytes(profile.largest_record) + b"\x17"))
        header = opens.record()[: 1 + size + (2 if form & 8 else 1) + (2 if form & 4 else 0)]
        most = profile.largest_seal + TAG_BYTES
        yield from (open_request(slot, header + bytes(most + more)) for more in (0, 1, 2))


def stalled(profile: Profile) -> Iterator[bytes]:
    """Completions that wait for a receiver, short and long, until every queue is full."""
    source = random.Random(7)
    seals, opens = _key("stalled", Usage.SEAL, 0), _key("stalled", Usage.OPEN, 1)
    yield from (seals.load, opens.load)
    kinds: list[Callable[[], bytes]] = [
        *(lambda: Request(0xFF).pack(), lambda: b"\x04", lambda: STATS, lambda: INFO),
        *[lambda: seals.seal(source.randbytes(source.randrange(80)) + b"\x17")] * 3,
        *[lambda: opens.open(source.randbytes(source.randrange(80)) + b"\x17")] * 3,
    ]
    yield from (opens.open(bytes(600) + b"\x17") for _ in range(12))
    yield from (source.choice(kinds)() for _ in range(100))


def full_buffer(profile: Profile) -> Iterator[bytes]:
    """More than the completions' buffer holds, after what may have cost it some of its room."""
    seals, opens = _key("full", Usage.SEAL, 0), _key("full", Usage.OPEN, 1)
    yield from (seals.load, opens.load)
    yield from [STATS] * 40
    yield from [INFO, seals.seal(b"\x17"), opens.open(), flipped(opens.open(b"t" * 90))] * 5
    text = bytes(range(256)) * (profile.largest_record // 256) + b"\x17"
    # None of them waits for those before it to leave, as reports do.
    for _ in range(6):
        yield from (opens.open(text), seals.seal(text))


def full_queue(profile: Profile) -> Iterator[bytes]:
    """As many blocks of requests as ever wait: the limit, and what is let in before it shows.

    Most are behind it where a header of two blocks comes, and where the next one would come if that
    record were let in whole.
    """
    seals = _key("full queue", Usage.SEAL, 0, connection_id=bytes(20))
    yield seals.load
    # With those that wait for the receiver, up to the limit.
    yield from [seals.seal(bytes(profile.largest_record) + b"\x17")] * 7
    for blocks in (105, 6, 38, 38):
        yield seals.seal(bytes(16 * blocks - 1) + b"\x17")
