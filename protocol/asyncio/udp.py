"""A UDP socket on an event loop, which takes and sends many datagrams at a time.

Where the system has it, datagrams of one size go to the kernel in one piece (UDP_SEGMENT), and come
from it in one (UDP_GRO); this is found out at run time. Otherwise there is a call for each.

Errors that a socket reports, such as a port that ICMP calls unreachable, are counted and otherwise
ignored: anyone can forge them. What the path takes, when a datagram was too large for it, is told
to the owner.
"""

import asyncio
import errno
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any, TypeAlias

from protocol.asyncio import path_mtu

#: Host and port, and for IPv6 flow and scope, as the operating system gives them.
Address: TypeAlias = tuple[Any, ...]

# <linux/udp.h>; Python's socket module does not have them yet.
_UDP_SEGMENT, _UDP_GRO = 103, 104
#: The option's value on sending: the size of all datagrams but the last.
_SEGMENT_SIZE = struct.Struct("=H")
#: The control message on receipt.
_GRO_SIZE = struct.Struct("=i")
_CONTROL_BYTES = socket.CMSG_SPACE(_GRO_SIZE.size)

#: The kernel takes no more in one piece: datagrams, and bytes over IPv4.
_MAX_SEGMENTS, _MAX_BYTES = 64, 65_507
#: Bytes of one receipt: datagrams of one size, or one of any.
_RECEIVE_BYTES = 65_535
#: Datagrams that are taken before other tasks may run.
_MAX_TURN = 512
#: Datagrams that wait for a full socket; further ones are lost, as they are in the network.
_MAX_BACKLOG = 4096
#: What the socket should hold until we come to it, in bytes; the system may give less.
_RECEIVE_BUFFER = 1 << 22


class DatagramSocket:
    """Takes over a socket, which may be connected.

    ``received`` is called with datagrams that came from an address: how large each is, and all of
    them, one after the other; the last may be shorter. Then ``turn_over`` is when there are no more
    for now, and ``too_large`` with an address that a datagram was too large for, and how many bytes
    the path to it takes.
    """

    def __init__(
        self,
        sock: socket.socket,
        received: Callable[[bytes, int, Address], None],
        turn_over: Callable[[], None],
        too_large: Callable[[Address, int], None],
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket = sock
        self._received = received
        self._turn_over = turn_over
        self._too_large = too_large
        #: Whose datagrams a connected socket takes, and no others.
        self._peer = _peer_address(sock)
        self._segments = _has_option(sock, _UDP_SEGMENT)
        self._gro = _has_option(sock, _UDP_GRO)
        if self._gro:
            sock.setsockopt(socket.SOL_UDP, _UDP_GRO, 1)
        self._backlog: deque[tuple[Sequence[bytes], Address]] = deque()
        self._waiting = 0
        #: Set while `send` does not have to wait for the system.
        self.writable = asyncio.Event()
        self.writable.set()
        self.network_errors = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read)

    @property
    def address(self) -> Address:
        """Where it is bound."""
        address: Address = self._socket.getsockname()
        return address

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._socket.fileno() < 0

    def send(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Send datagrams, in order; those that the system has no room for follow when it has."""
        if self.closed:
            return
        for run in _runs(datagrams) if self._segments else ([each] for each in datagrams):
            if self._backlog:
                self._postpone(run, address)
            else:
                self._send_run(run, address)

    def close(self) -> None:
        """Give up the socket, and what was not sent."""
        if not self.closed:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._backlog.clear()
            self.writable.set()

    def _read(self) -> None:
        taken = 0
        while taken < _MAX_TURN and not self.closed:
            try:
                data, control, _, address = self._socket.recvmsg(_RECEIVE_BYTES, _CONTROL_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self.network_errors += 1
                taken += 1
                if error.errno == errno.EMSGSIZE and self._peer is not None:
                    self._report(self._peer, path_mtu.estimate(self._peer))
                continue
            size = _datagram_size(data, control)
            taken += -(-len(data) // size)
            self._received(data, size, self._peer or address)
        self._turn_over()

    def _send_run(
        self, run: Sequence[bytes], address: Address, *, is_repeated: bool = False
    ) -> None:
        """Send datagrams that fit one call."""
        try:
            self._send_now(run, address)
        except (BlockingIOError, InterruptedError):
            self._postpone(run, address)
        except OSError as error:
            if len(run) > 1 and error.errno != errno.ECONNREFUSED:
                # The path does not take them in one piece, or else the network interface.
                self._segments = error.errno in (errno.EINVAL, errno.EMSGSIZE)
                for datagram in run:
                    self.send([datagram], address)
                return
            self.network_errors += 1
            if error.errno == errno.EMSGSIZE:
                self._refused(run, address, is_repeated=is_repeated)

    def _refused(self, run: Sequence[bytes], address: Address, *, is_repeated: bool) -> None:
        """The system says that a datagram is too large; or that another one was, some time ago."""
        known = path_mtu.estimate(address)
        if known is not None and known >= len(run[0]):
            if not is_repeated:
                self._report(address, known)
                self._send_run(run, address, is_repeated=True)
                return
            known = None  # What it says cannot be true.
        self._report(address, known)

    def _report(self, address: Address, known: int | None) -> None:
        """Tell the owner what the path takes, and no less than any does (RFC 9147, 4.4).

        If the system thinks that it is even less, because of a forgery or not, it has to cut the
        datagrams that it will not send otherwise.
        """
        least = path_mtu.smallest(address)
        if known is not None and known < least:
            path_mtu.allow_fragments(self._socket, allow=True)
        self._too_large(address, max(known or least, least))

    def _send_now(self, run: Sequence[bytes], address: Address) -> None:
        target = () if self._peer is not None else (address,)
        if len(run) == 1:
            self._socket.sendmsg(run, (), 0, *target)
        else:
            size = _SEGMENT_SIZE.pack(len(run[0]))
            self._socket.sendmsg(run, [(socket.SOL_UDP, _UDP_SEGMENT, size)], 0, *target)

    def _postpone(self, datagrams: Sequence[bytes], address: Address) -> None:
        if self._waiting >= _MAX_BACKLOG:
            self.network_errors += len(datagrams)
            return
        if not self._backlog:
            self.writable.clear()
            self._loop.add_writer(self._socket, self._write)
        self._backlog.append((datagrams, address))
        self._waiting += len(datagrams)

    def _write(self) -> None:
        backlog, self._backlog = self._backlog, deque()
        self._waiting = 0
        self._loop.remove_writer(self._socket)
        self.writable.set()
        for datagrams, address in backlog:
            self.send(datagrams, address)


def _runs(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Pieces that fit one call: datagrams of one size, the last of which may be shorter."""
    start = 0
    while start < len(datagrams):
        size = len(datagrams[start])
        most = max(1, min(_MAX_SEGMENTS, _MAX_BYTES // max(size, 1)))
        run = datagrams[start : start + most]
        if len(set(map(len, run))) > 1:
            run = _head(run, size)
        yield run
        start += len(run)


def _head(datagrams: Sequence[bytes], size: int) -> Sequence[bytes]:
    """Those of that size at the beginning, and one that is shorter if it is next."""
    count = sum(1 for _ in takewhile(lambda datagram: len(datagram) == size, datagrams))
    if count < len(datagrams) and 0 < len(datagrams[count]) < size:
        count += 1
    return datagrams[:count]


def _datagram_size(data: bytes, control: Sequence[tuple[int, int, bytes]]) -> int:
    """Bytes of each datagram of one receipt: control messages say it if there are several."""
    for level, kind, value in control:
        if (level, kind) == (socket.SOL_UDP, _UDP_GRO):
            (size,) = _GRO_SIZE.unpack(value)
            if 0 < size < len(data):
                return int(size)
    return max(1, len(data))


def _has_option(sock: socket.socket, option: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        sock.getsockopt(socket.SOL_UDP, option)
    except OSError:
        return False
    return True


def _peer_address(sock: socket.socket) -> Address | None:
    try:
        address: Address = sock.getpeername()
    except OSError:
        return None
    return address
