"""ClientHellos put together for those who have no connection."""

import random
from collections.abc import Iterable

import pytest

from protocol.handshake_framing import Fragment, HandshakeType
from protocol.hellos import _KEPT_SECONDS, _MAX_PIECES, LONGEST_HELLO, HelloPool, begins_with_hello
from protocol.record import ContentType, build_plaintext

POOL = 1 << 16


def body(size: int = 1000, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def datagram(
    hello: bytes, start: int = 0, stop: int | None = None, seq: int = 0, number: int = 0
) -> bytes:
    data = hello[start : len(hello) if stop is None else stop]
    fragment = Fragment(HandshakeType.CLIENT_HELLO, len(hello), seq, start, data)
    return build_plaintext(ContentType.HANDSHAKE, number, fragment.encode())


def pieces(hello: bytes, size: int, seq: int = 0) -> list[bytes]:
    starts = range(0, len(hello), size)
    return [
        datagram(hello, start, min(start + size, len(hello)), seq, number)
        for number, start in enumerate(starts)
    ]


def add_all(pool: HelloPool, datagrams: Iterable[bytes], address: str = "a") -> list[bytes]:
    hellos = [pool.add(data, address, 0.0) for data in datagrams]
    return [hello.body for hello in hellos if hello is not None]


def test_a_hello_in_one_datagram_uses_no_memory() -> None:
    pool = HelloPool(POOL)
    hello = pool.add(datagram(body(), seq=1, number=7), "a", 0.0)
    assert hello is not None
    assert (hello.body, hello.message_seq, hello.record_number) == (body(), 1, 7)
    assert hello.received == len(datagram(body()))
    assert pool.used == 0


def test_what_comes_behind_a_hello_in_its_datagram_stays_with_it() -> None:
    hello = HelloPool(POOL).add(datagram(body()) + b"\x2erest", "a", 0.0)
    assert hello is not None
    assert hello.rest == b"\x2erest"
    assert hello.datagram() == datagram(body()) + b"\x2erest"


@pytest.mark.parametrize("seed", range(20))
def test_pieces_in_any_order_with_repeats_and_overlaps_make_the_hello(seed: int) -> None:
    source = random.Random(seed)
    cuts = [(start, start + 150) for start in range(0, 1000, 100)]
    cuts += [source.choice(cuts) for _ in range(3)]
    source.shuffle(cuts)
    pool = HelloPool(POOL)
    hellos = add_all(pool, [datagram(body(), *cut) for cut in cuts])
    assert hellos[0] == body()


def test_the_record_that_makes_it_whole_gives_it_its_number_and_all_bytes_count() -> None:
    pool = HelloPool(POOL)
    datagrams = pieces(body(), 300)
    (hello,) = filter(None, [pool.add(data, "a", 0.0) for data in datagrams])
    assert hello.record_number == len(datagrams) - 1
    assert hello.received == sum(map(len, datagrams))
    assert pool.used == 0


def test_several_pieces_in_one_datagram() -> None:
    pool = HelloPool(POOL)
    assert add_all(pool, [b"".join(pieces(body(), 300))]) == [body()]


def test_addresses_are_kept_apart() -> None:
    pool = HelloPool(POOL)
    first, second = body(seed=1), body(seed=2)
    found = []
    for one, other in zip(pieces(first, 300), pieces(second, 300), strict=True):
        found += add_all(pool, [one], "a") + add_all(pool, [other], "b")
    assert found == [first, second]


def test_pieces_that_contradict_earlier_ones_take_their_place() -> None:
    pool = HelloPool(POOL)
    old, new = pieces(body(seed=1), 300), pieces(body(seed=2), 300)
    assert add_all(pool, [*old[:2], *new]) == [body(seed=2)]
    assert pool.dropped == 1


def test_the_second_hello_takes_the_place_of_the_first() -> None:
    pool = HelloPool(POOL)
    assert add_all(pool, [*pieces(body(), 300)[:2], *pieces(body(), 300, seq=1)]) == [body()]


def test_pieces_are_kept_for_some_time_only() -> None:
    pool = HelloPool(POOL)
    first, *others = pieces(body(), 300)
    pool.add(first, "a", 0.0)
    assert not any(pool.add(data, "a", _KEPT_SECONDS) for data in others)
    assert pool.add(first, "a", _KEPT_SECONDS) is not None


def test_the_oldest_hello_goes_when_there_is_no_room() -> None:
    pool = HelloPool(10_000)
    most = 0
    for number in range(1000):
        pool.add(pieces(body(), 300)[0], str(number), 0.0)
        most = max(most, pool.used)
    assert most <= 10_000
    assert pool.dropped > 900
    assert add_all(pool, pieces(body(), 300)[1:], "0") == []
    assert add_all(pool, pieces(body(), 300)[1:], "999") == [body()]


def test_a_length_that_is_only_announced_takes_no_memory() -> None:
    pool = HelloPool(POOL)
    pool.add(datagram(bytes(LONGEST_HELLO), LONGEST_HELLO - 1), "a", 0.0)
    assert pool.used < 2000


def test_empty_and_countless_pieces_are_bounded() -> None:
    pool = HelloPool(1 << 20)
    for start in range(2 * _MAX_PIECES):
        pool.add(datagram(body(), 2 * start, 2 * start + 1), "a", 0.0)
    assert len(pool._partial["a"]._pieces) <= _MAX_PIECES
    many = b"".join(datagram(body(), start, start) for start in range(1000))
    assert pool.add(many, "b", 0.0) is None
    assert len(pool._partial["b"]._pieces) <= _MAX_PIECES


@pytest.mark.parametrize(
    "data",
    [
        datagram(bytes(LONGEST_HELLO + 1), 0, 100),
        datagram(body())[:-1],
        datagram(body()) + datagram(body(seed=2), seq=1),
        datagram(body()) + datagram(body())[:20],
        datagram(body())[:14],
    ],
    ids=["too long", "cut off", "two hellos", "broken behind", "header only"],
)
def test_what_is_no_piece_of_one_hello_is_dropped(data: bytes) -> None:
    pool = HelloPool(POOL)
    assert begins_with_hello(data)
    assert pool.add(data, "a", 0.0) is None
    assert pool.used == 0


@pytest.mark.parametrize("data", [b"", b"\x16", datagram(body())[:13], b"\x17" + bytes(40)])
def test_what_does_not_begin_with_a_hello(data: bytes) -> None:
    assert not begins_with_hello(data)
