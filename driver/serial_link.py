"""The link to a board on a serial port; docs/host-link.md has the frames and the reasons."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from driver.errors import LinkError, LinkTimeout
from driver.frames import (
    CRC_BYTES,
    FIRST_BAUD,
    FLAG,
    LEAST_DIVISOR,
    LINK_VERSION,
    BoardFrame,
    BoardKind,
    HostKind,
    Status,
    Unstuffer,
    pack_host_frame,
)
from driver.serial_port import SerialPort, find_board

__all__ = ["LinkCounters", "SerialLink"]

#: Rates that adapters have, beside what the board's clock gives.
_BAUDS = (
    *(12_000_000, 8_000_000, 6_000_000, 4_000_000, 3_000_000, 2_000_000, 1_500_000, 1_000_000),
    *(921_600, 460_800, 230_400),
)
#: How far a whole number of cycles may be from a bit.
_BAUD_ERROR = 0.015
#: Longer than any byte at a rate that a board may have: to it, many bytes without a stop bit.
_WAKE = bytes(16) + bytes([FLAG])
#: Seconds that an answer may take, and into how many attempts they are divided for SYNC.
_ANSWER_TIME = 6.0
_ATTEMPTS = 4
#: Seconds without a byte after which the board is asked what it has got.
_PATIENCE = 0.5
#: Seconds after which a board without room is given up.
_STUCK = 30.0
#: Completions that may come while nobody reads: Linux keeps some 64 KiB for a slow reader.
_WINDOW = 8
#: `BoardFrame.freed` counts in units of the buffer's size by this.
_UNITS = 128


@dataclass
class LinkCounters:
    """What went wrong on the wire since the link was made."""

    #: What the board dropped: frames with a wrong CRC, of an impossible length or kind, or without
    #: room; and bytes without a stop bit, as noise, a break or another rate make them.
    dropped_by_board: int = 0
    #: Frames with a wrong CRC, or of no known kind, that came from the board.
    dropped_here: int = 0


class SerialLink:
    """A `driver.Link` to the board on ``port``; without one, to the only board that is there.

    It begins at 115,200 baud and goes on at the fastest rate, up to ``baud``, at which the board
    answers. A request or completion that was damaged on its way raises `LinkError`, once; the next
    one works. After the board was unplugged, every `send` tries to reach it again: it knows no key
    then. All errors are `LinkError` with a sentence that says what to do.
    """

    def __init__(self, port: str | None = None, *, baud: int | None = None):
        self.counters = LinkCounters()
        self._name = port
        self._most_baud = baud
        self._closed = False
        self._token = 0
        self._port: SerialPort | None = None
        self._completions: deque[bytes] = deque()
        self._unstuffer = Unstuffer()
        #: What the board said last.
        self._board: Status
        #: The token of a SYNC whose answer tells whether something was lost.
        self._asked: int | None = None
        self._lost: LinkError | None = None
        #: Something was damaged: ask the board. Whether the last read brought any bytes.
        self._doubt = self._heard = False
        # Requests sent, and their bytes at most; completions received, and granted; modulo 256 but
        # for the bytes. And what the board last said that it has freed.
        self._sent = self._sent_bytes = self._received = self._granted = self._freed = 0
        self._connect()

    @property
    def port(self) -> str:
        """The name of the port."""
        assert self._name is not None  # found by `_connect` if it was not given
        return self._name

    @property
    def baud(self) -> int:
        """Bits a second; raises `LinkError` while there is no board."""
        return self._open_port().baud

    # The link

    def send(self, packet: bytes) -> None:
        """Send a request, as soon as the board has room for it; see `driver.Link.send`."""
        if self._port is None:
            self._connect()
        size = len(packet)
        if size + CRC_BYTES > self._board.buffer_bytes:
            raise LinkError(
                f"A request of {size} bytes is over the {self._board.buffer_bytes - CRC_BYTES} "
                "that the board takes."
            )
        began = silent_since = time.monotonic()
        while self._in_buffer + size + CRC_BYTES > self._board.buffer_bytes:
            silent_since = self._listen(silent_since, _PATIENCE)
            if time.monotonic() - began > _STUCK:
                raise LinkTimeout(f"The board at {self.port} has no room for a request: reset it.")
        self._asked = None  # what is asked for says nothing of this request
        self._sent = (self._sent + 1) % 256
        self._sent_bytes += size
        self._write(HostKind.REQUEST, self._grant(), packet)

    def receive(self, timeout: float) -> bytes:
        """The next completion; see `driver.Link.receive`."""
        now = time.monotonic()
        deadline = now + timeout
        silent_since = now
        while not self._completions:
            left = deadline - time.monotonic()
            if left < 0:
                self._open_port()
                raise LinkTimeout(f"no completion from the board at {self.port} in {timeout} s")
            silent_since = self._listen(silent_since, min(left, _PATIENCE))
        return self._completions.popleft()

    def close(self) -> None:
        """Release the port; closing twice does nothing."""
        self._closed = True
        self._release()

    # Bytes and frames

    def _release(self) -> None:
        if self._port is not None:
            self._port.close()
        self._port = None

    def _open_port(self) -> SerialPort:
        if self._port is None:
            raise LinkError("The link is closed." if self._closed else "The board is gone.")
        return self._port

    def _write(self, kind: HostKind, argument: int, packet: bytes = b"", token: int = 0) -> None:
        frame = pack_host_frame(kind, argument, packet, token)
        try:
            self._open_port().write(frame)
        except LinkError:
            self._release()
            raise

    def _read(self, timeout: float) -> Iterator[BoardFrame]:
        """The frames that came until now, or within ``timeout``; others are counted."""
        try:
            data = self._open_port().read(timeout)
        except LinkError:
            self._release()
            raise
        self._heard = bool(data)
        before = self._unstuffer.damaged
        for content in self._unstuffer.feed(data):
            try:
                yield BoardFrame.unpack(content)
            except ValueError:
                self._unstuffer.damaged += 1
        if self._unstuffer.damaged > before:
            self.counters.dropped_here += self._unstuffer.damaged - before
            self._doubt = True

    # Credit, and what became of it

    @property
    def _in_buffer(self) -> int:
        """The most bytes of requests that are in the board's buffer, or on their way."""
        if self._sent == self._received:
            return 0  # all are answered
        unit = self._board.buffer_bytes // _UNITS
        return (self._sent_bytes - self._freed * unit) % (2 * self._board.buffer_bytes)

    def _grant(self) -> int:
        """Up to where the board may send completions."""
        self._granted = (self._received + _WINDOW) % 256
        return self._granted

    def _listen(self, silent_since: float, timeout: float) -> float:
        """Take what comes; after a silence or damage ask the board. Returns when it began."""
        for frame in self._read(timeout):
            self._take(frame)
        if (lost := self._lost) is not None:
            self._lost = None
            raise lost
        now = time.monotonic()
        if self._heard:
            silent_since = now
        if self._doubt or now - silent_since >= _PATIENCE:
            self._doubt = False
            silent_since = now
            self._write(HostKind.GRANT, self._grant())
            self._asked = self._next_token()
            self._write(HostKind.SYNC, 0, token=self._asked)
        elif (self._granted - self._received) % 256 <= _WINDOW // 2:
            self._write(HostKind.GRANT, self._grant())
        return silent_since

    def _take(self, frame: BoardFrame) -> None:
        self._freed = frame.freed
        if frame.kind is BoardKind.COMPLETION:
            self._completions.append(frame.body)
            self._received = (frame.sent + 1) % 256
            return
        status = self._take_status(frame)
        if frame.kind is BoardKind.DAMAGE:
            self._doubt = True
        elif self._asked == frame.token:
            self._asked = None
            self._compare(frame, status)

    def _take_status(self, frame: BoardFrame) -> Status:
        status = Status.unpack(frame.body)
        self.counters.dropped_by_board += (status.damaged - self._board.damaged) % 256
        self._board = status
        return status

    def _compare(self, frame: BoardFrame, status: Status) -> None:
        """Take over the board's counts; if they are not those here, something was lost."""
        requests = (self._sent - status.taken) % 256
        completions = (frame.sent - self._received) % 256
        self._adopt(frame, status)
        if requests or completions:
            self._lost = LinkError(
                f"The serial link lost {requests} requests and {completions} completions: "
                f"{self.counters.dropped_by_board} damaged frames or bytes were dropped by the "
                f"board and {self.counters.dropped_here} here since it was made. Send them again."
            )

    def _adopt(self, frame: BoardFrame, status: Status) -> None:
        self._board = status
        self._sent, self._received, self._freed = status.taken, frame.sent, frame.freed
        unit = status.buffer_bytes // _UNITS
        self._sent_bytes = status.taken_units * unit + unit - 1  # at most

    # Connecting

    def _connect(self) -> None:
        """Open the port, wake the board, and find the fastest rate."""
        if self._closed:
            raise LinkError("The link is closed.")
        if self._name is None:
            self._name = find_board()
        self._completions.clear()
        self._unstuffer = Unstuffer()
        self._asked = self._lost = None
        self._doubt = False
        self._port = SerialPort(self._name, FIRST_BAUD)
        try:
            self._wake()
            self._raise_rate()
            self._forget_completions()
        except LinkError:
            self._release()
            raise

    def _wake(self) -> None:
        """Bring the board to the first rate; raises `LinkError` if there is none."""
        port = self._open_port()
        port.write(_WAKE)
        port.forget_input()
        status = self._ask(HostKind.SYNC, 0)
        if status is None:
            raise LinkError(
                f"No accelerator answers at {self.port}: load its bitstream, or name another port."
            )
        if status.version != LINK_VERSION:
            raise LinkError(
                f"The board at {self.port} has version {status.version} of the link, this driver "
                f"{LINK_VERSION}: build its bitstream anew."
            )

    def _raise_rate(self) -> None:
        for baud, divisor in list(self._rates()):
            try:
                # Once: the board would not understand a second one if it took the first.
                if self._ask(HostKind.RATE, divisor, attempts=1) is not None:
                    self._open_port().set_baud(baud)
                    if self._ask(HostKind.SYNC, 0) is not None:
                        return
            except LinkError:
                if self._port is None:
                    raise
            self._open_port().set_baud(FIRST_BAUD)
            self._wake()

    def _forget_completions(self) -> None:
        """Drop what an earlier host has asked for: every request gets a completion, some time."""
        began = time.monotonic()
        while self._sent != self._received:
            self._write(HostKind.GRANT, self._grant())
            if self._ask(HostKind.SYNC, 0) is None or time.monotonic() - began > _STUCK:
                raise LinkError(f"The board at {self.port} does not end its requests: reset it.")

    def _rates(self) -> Iterator[tuple[int, int]]:
        """Rates that adapter and board have, the fastest first, and their cycles a bit."""
        clock, least = self._board.clock_hz, LEAST_DIVISOR
        limit = self._open_port().baud_limit
        exact = () if limit else (clock // least,)
        for baud in (*exact, *_BAUDS):
            divisor = max(least, round(clock / baud))
            fits = abs(clock / divisor / baud - 1) <= _BAUD_ERROR
            if fits and FIRST_BAUD < baud <= min(limit or baud, self._most_baud or baud):
                yield baud, divisor

    def _ask(self, kind: HostKind, argument: int, attempts: int = _ATTEMPTS) -> Status | None:
        """The answer to SYNC or RATE, whose counts are then those here; None if none comes."""
        tokens = set()
        for _ in range(attempts):
            token = self._next_token()
            tokens.add(token)
            self._write(kind, argument, token=token)
            deadline = time.monotonic() + _ANSWER_TIME / attempts
            while (left := deadline - time.monotonic()) > 0:
                for frame in self._read(left):
                    if frame.kind is BoardKind.STATUS and frame.token in tokens:
                        self._adopt(frame, Status.unpack(frame.body))
                        return self._board
        return None

    def _next_token(self) -> int:
        self._token = (self._token + 1) % 16
        return self._token
