"""A link whose other end does what a test says."""

from collections import deque
from collections.abc import Callable, Iterable

from driver import Info, LinkTimeout, Suite
from driver.messages import CONTRACT_VERSION, Completion, Opcode, Request, Status

INFO = Info(
    version=CONTRACT_VERSION,
    slots=2,
    largest_record=100,
    window=64,
    suites=frozenset(Suite),
    connection_id_bytes=20,
    profile="fake",
)


def complete(request: Request, payload: bytes = b"", status: int = Status.OK) -> bytes:
    """A completion packet that matches its request."""
    return Completion(request.opcode, status, request.slot, request.request_id, payload).pack()


class FakeLink:
    """Answers INFO, and any other request with the packets that ``answer`` gives for it.

    A time-out comes at once when nothing is there to be received.
    """

    def __init__(self, answer: Callable[[Request], Iterable[bytes]] = lambda request: ()):
        self.answer = answer
        self.info = INFO.pack()
        self.requests: list[Request] = []
        self.waiting: deque[bytes] = deque()
        self.timeouts: list[float] = []
        self.most_in_flight = 0
        self.closed = False

    def send(self, packet: bytes) -> None:
        request = Request.unpack(packet)
        if request.opcode == Opcode.INFO:
            self.waiting.append(complete(request, self.info))
            return
        self.requests.append(request)
        self.waiting.extend(self.answer(request))
        self.most_in_flight = max(self.most_in_flight, len(self.waiting))

    def receive(self, timeout: float) -> bytes:
        self.timeouts.append(timeout)
        if not self.waiting:
            raise LinkTimeout("nothing to receive")
        return self.waiting.popleft()

    def close(self) -> None:
        self.closed = True
