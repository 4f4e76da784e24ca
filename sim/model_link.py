"""A link to the accelerator's software model: no cycles, no transport, exact completions."""

from collections import deque

from driver.errors import LinkError, LinkTimeout
from hdl.model import AcceleratorModel

__all__ = ["ModelLink"]


class ModelLink:
    """A `driver.Link` whose other end is an `AcceleratorModel`; a time-out comes at once."""

    def __init__(self, model: AcceleratorModel):
        self.model = model
        self._completions: deque[bytes] | None = deque()

    def send(self, packet: bytes) -> None:
        """Answer the request; the completion waits to be received."""
        self._open_queue().append(self.model.request(packet))

    def receive(self, timeout: float) -> bytes:
        """The next completion; raises `LinkTimeout` at once if nothing was asked."""
        completions = self._open_queue()
        if not completions:
            raise LinkTimeout("no request is waiting for its completion")
        return completions.popleft()

    def close(self) -> None:
        """Drop what was not received; the model keeps its state."""
        self._completions = None

    def _open_queue(self) -> deque[bytes]:
        if self._completions is None:
            raise LinkError("link is closed")
        return self._completions
