"""What carries packets to a device and back: the one interface under `driver.device.Device`."""

from typing import Protocol

__all__ = ["Link"]


class Link(Protocol):
    """A reliable, ordered pipe of whole packets: a simulator, a serial port, a pty, a model.

    A link knows where packets end (`driver.messages` has the length in the header) and nothing
    else about them. It need not be thread-safe.
    """

    def send(self, packet: bytes) -> None:
        """Hand over one whole request packet; raises `LinkError` if the transport failed.

        It may block until the transport takes the bytes, but never until a completion is read:
        `Device` sends up to its ``in_flight`` requests before it receives.
        """

    def receive(self, timeout: float) -> bytes:
        """The next whole completion packet, in the order of arrival.

        Raises `LinkTimeout` if it is not complete after ``timeout`` seconds; what has arrived of
        it by then stays for the next call. Raises `LinkError` if the transport failed.
        """

    def close(self) -> None:
        """Release the transport; closing twice does nothing."""
