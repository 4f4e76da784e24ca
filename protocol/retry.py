"""HelloRetryRequests without state, and the cookies that make that possible (RFC 9147, 5.1).

::

    cookie    issued (64) suite (16) group (16), 0 if none is asked for
              hash of the first ClientHello, as long as that of the suite
              HMAC-SHA256 of the client's address, of what both hellos have alike, and of the above

All fields are big-endian; widths are in bits. `Cookies` makes and opens them; a `Retry` is what one
says. The cookie does not tell what was in the ClientHello, only its hash (RFC 9147, 11).
"""

import hmac
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from protocol.crypto.suites import CipherSuite
from protocol.extensions import COOKIE, DTLS_1_3, RETRY_GROUP, SERVER_VERSION, Extensions
from protocol.handshake_messages import RETRY_RANDOM, ClientHello, ServerHello
from protocol.key_exchange import NamedGroup
from protocol.wire import uints, vector

_HEAD = struct.Struct(">QHH")
_KEY_BYTES = _MAC_BYTES = 32
_NO_GROUP = 0
_WRAP = 1 << 64

#: Seconds in which the client has to bring a cookie back.
COOKIE_LIFETIME = 60.0
#: Seconds after which a new key takes over. The one before it still opens what it has made.
KEY_LIFETIME = 3600.0


@dataclass(frozen=True)
class Retry:
    """What a HelloRetryRequest asked for, and the hash of the ClientHello that it answered."""

    suite: CipherSuite
    #: The group of the key share asked for; None if the client's shares were good.
    group: NamedGroup | None
    hello_hash: bytes = field(repr=False)


def retry_request(suite: CipherSuite, group: int | None, cookie: bytes | None) -> ServerHello:
    """A HelloRetryRequest: always the same bytes for the same values, since both sides hash it."""
    extensions = [SERVER_VERSION.make(DTLS_1_3)]
    if group is not None:
        extensions.append(RETRY_GROUP.make(group))
    if cookie is not None:
        extensions.append(COOKIE.make(cookie))
    return ServerHello(RETRY_RANDOM, suite, Extensions(extensions))


class Cookies:
    """Makes cookies, and knows its own again for a while; keys live in here only, and rotate."""

    def __init__(self, random: Callable[[int], bytes], now: float) -> None:
        self._random = random
        #: The newest first: it makes cookies, both open them.
        self._keys: tuple[bytes, ...] = (random(_KEY_BYTES),)
        self._newest_since = now

    def make(self, address: Hashable, hello: ClientHello, retry: Retry, now: float) -> bytes:
        """The cookie for a client at ``address`` whose first ClientHello is ``hello``."""
        self._rotate(now)
        head = _HEAD.pack(_microseconds(now), retry.suite, retry.group or _NO_GROUP)
        body = head + retry.hello_hash
        return body + _mac(self._keys[0], address, hello, body)

    def open(
        self, cookie: bytes, address: Hashable, hello: ClientHello, now: float
    ) -> Retry | None:
        """What the cookie says; None unless it was made for this client, not too long ago.

        ``hello`` is the second ClientHello, which has to repeat the first (RFC 8446, 4.1.2).
        """
        self._rotate(now)
        body, mac = cookie[:-_MAC_BYTES], cookie[-_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(k, address, hello, body)) for k in self._keys):
            return None
        issued, suite, group = _HEAD.unpack_from(body)
        if (_microseconds(now) - issued) % _WRAP > COOKIE_LIFETIME * 1e6:
            return None
        return Retry(CipherSuite(suite), NamedGroup(group) if group else None, body[_HEAD.size :])

    def _rotate(self, now: float) -> None:
        if now >= self._newest_since + KEY_LIFETIME:
            self._keys = (self._random(_KEY_BYTES), self._keys[0])
            self._newest_since = now


def _microseconds(now: float) -> int:
    """``now`` as a cookie has it; its origin may be anywhere."""
    return int(now * 1e6) % _WRAP


def _mac(key: bytes, address: Hashable, hello: ClientHello, body: bytes) -> bytes:
    alike = hello.random + vector(hello.legacy_session_id, 1) + uints(hello.cipher_suites, 2, 2)
    return hmac.digest(key, vector(repr(address).encode(), 2) + alike + body, "sha256")
