"""What the system knows about a path, and whether datagrams may be cut on it (RFC 9147, 4.4).

Linux finds out how much a path takes from ICMP: it refuses datagrams that are larger (EMSGSIZE) if
they must not be cut into fragments, and says what the limit is. Elsewhere there is no estimate.
"""

import socket
import sys
from typing import Any, NamedTuple

# <linux/in.h> and <linux/in6.h>; Python's socket module does not have them.
_IP_MTU_DISCOVER, _IP_MTU = 10, 14
_IPV6_MTU_DISCOVER, _IPV6_MTU = 23, 24
#: Values of the options to discover: what is too large for the path is cut, or refused.
_CUT, _REFUSE = 0, 2


class _Version(NamedTuple):
    level: int
    discover: int
    mtu: int
    #: Bytes of the headers of IP and UDP.
    headers: int
    #: What each path takes, those headers included.
    smallest_mtu: int


_IPV4 = _Version(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_MTU, 28, 576)
_IPV6 = _Version(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IPV6_MTU, 48, 1280)


def allow_fragments(sock: socket.socket, *, allow: bool) -> None:
    """Say whether what is larger than the path takes is cut on it (DF of IPv4), or refused.

    Where the system does not let us say so, it decides.
    """
    if sys.platform == "linux":
        value = _CUT if allow else _REFUSE
        sock.setsockopt(_IPV4.level, _IPV4.discover, value)  # IPv6 sockets may carry IPv4 too
        if sock.family == socket.AF_INET6:
            sock.setsockopt(_IPV6.level, _IPV6.discover, value)


def estimate(address: tuple[Any, ...]) -> int | None:
    """How large a datagram the path to ``address`` takes, as far as the system knows, in bytes.

    Anyone can forge the ICMP messages that lower it; it may be less than `smallest`. None: the
    system does not say.
    """
    if sys.platform != "linux":
        return None
    family, version = _family(address), _version(address)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return probe.getsockopt(version.level, version.mtu) - version.headers
    except OSError:
        return None


def smallest(address: tuple[Any, ...]) -> int:
    """How large a datagram each path takes to an address of that kind, in bytes."""
    version = _version(address)
    return version.smallest_mtu - version.headers


def _family(address: tuple[Any, ...]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET


def _version(address: tuple[Any, ...]) -> _Version:
    """What carries a datagram to ``address``: IPv4 for one that is mapped into IPv6 as well."""
    is_mapped = str(address[0]).startswith("::ffff:")
    return _IPV6 if _family(address) == socket.AF_INET6 and not is_mapped else _IPV4
