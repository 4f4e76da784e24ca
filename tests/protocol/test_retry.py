"""Cookies of HelloRetryRequests (RFC 9147, 5.1 and 11)."""

from dataclasses import replace

import pytest

from protocol.crypto.suites import CipherSuite
from protocol.extensions import COOKIE, RETRY_GROUP, Extensions
from protocol.handshake_messages import ClientHello, ServerHello
from protocol.key_exchange import NamedGroup
from protocol.retry import COOKIE_LIFETIME, KEY_LIFETIME, Cookies, Retry, retry_request

ADDRESS = ("192.0.2.1", 5684)
SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_256_GCM_SHA384)
HELLO = ClientHello(bytes(range(32)), SUITES, Extensions())
RETRY = Retry(SUITES[0], NamedGroup.X25519, bytes(range(32)))


class Keys:
    """Randomness that never repeats."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, count: int) -> bytes:
        self.calls += 1
        return self.calls.to_bytes(count, "big")


def make(now: float = 0.0) -> tuple[Cookies, bytes]:
    cookies = Cookies(Keys(), now)
    return cookies, cookies.make(ADDRESS, HELLO, RETRY, now)


@pytest.mark.parametrize(
    "retry",
    [RETRY, Retry(SUITES[1], None, bytes(48)), Retry(SUITES[1], NamedGroup.SECP256R1, bytes(48))],
)
@pytest.mark.parametrize("now", [0.0, 1e9, -1e6])
def test_a_cookie_says_what_it_was_made_of(retry: Retry, now: float) -> None:
    cookies = Cookies(Keys(), now)
    cookie = cookies.make(ADDRESS, HELLO, retry, now)
    assert cookies.open(cookie, ADDRESS, HELLO, now + COOKIE_LIFETIME) == retry


def test_a_cookie_has_a_life_time() -> None:
    cookies, cookie = make()
    assert cookies.open(cookie, ADDRESS, HELLO, COOKIE_LIFETIME + 0.001) is None


@pytest.mark.parametrize("address", [("192.0.2.2", 5684), ("192.0.2.1", 5685)])
def test_a_cookie_is_of_no_use_at_another_address(address: tuple[str, int]) -> None:
    cookies, cookie = make()
    assert cookies.open(cookie, address, HELLO, 0.0) is None


@pytest.mark.parametrize(
    "hello",
    [
        replace(HELLO, random=bytes(32)),
        replace(HELLO, cipher_suites=SUITES[:1]),
        replace(HELLO, legacy_session_id=b"x"),
    ],
)
def test_a_cookie_is_of_no_use_with_another_hello(hello: ClientHello) -> None:
    cookies, cookie = make()
    assert cookies.open(cookie, ADDRESS, hello, 0.0) is None


def test_no_bit_of_a_cookie_can_be_changed_and_none_be_left_out() -> None:
    cookies, cookie = make()
    for bit in range(8 * len(cookie)):
        forged = bytearray(cookie)
        forged[bit // 8] ^= 1 << bit % 8
        assert cookies.open(bytes(forged), ADDRESS, HELLO, 0.0) is None
    for length in range(len(cookie)):
        assert cookies.open(cookie[:length], ADDRESS, HELLO, 0.0) is None


def test_nobody_else_can_make_a_cookie() -> None:
    cookie = Cookies(lambda count: b"1" * count, 0.0).make(ADDRESS, HELLO, RETRY, 0.0)
    other = Cookies(lambda count: b"2" * count, 0.0)
    assert other.open(cookie, ADDRESS, HELLO, 0.0) is None


def test_a_cookie_outlives_the_change_of_the_key() -> None:
    cookies, _ = make()
    cookie = cookies.make(ADDRESS, HELLO, RETRY, KEY_LIFETIME - 1)
    assert cookies.open(cookie, ADDRESS, HELLO, KEY_LIFETIME + 1) == RETRY
    assert cookies.make(ADDRESS, HELLO, RETRY, KEY_LIFETIME - 1) != cookie


def test_no_key_is_kept_for_more_than_two_life_times() -> None:
    keys = Keys()
    cookies = Cookies(keys, 0.0)
    first = cookies._keys[0]
    for lifetimes in (1, 2):
        cookies.make(ADDRESS, HELLO, RETRY, lifetimes * KEY_LIFETIME)
    assert keys.calls == 3
    assert first not in cookies._keys


def test_a_cookie_does_not_hold_the_hello() -> None:
    """RFC 9147, 11: the hash is enough."""
    _, cookie = make()
    assert HELLO.random not in cookie.replace(RETRY.hello_hash, b"")
    assert b"192.0.2.1" not in cookie


@pytest.mark.parametrize("group", [None, NamedGroup.SECP256R1])
@pytest.mark.parametrize("cookie", [None, b"biscuit"])
def test_a_retry_request_can_be_made_again_from_what_the_cookie_says(
    group: NamedGroup | None, cookie: bytes | None
) -> None:
    body = retry_request(SUITES[0], group, cookie).encode()
    assert body == retry_request(SUITES[0], group, cookie).encode()
    parsed = ServerHello.parse(body)
    assert parsed.is_hello_retry_request
    assert RETRY_GROUP.read(parsed.extensions) == group
    assert COOKIE.read(parsed.extensions) == cookie
