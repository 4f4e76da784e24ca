"""What can go wrong between host and device. No message holds a key or a plaintext."""

# ruff: noqa: N818 (a name that says what happened needs no suffix)

from collections.abc import Sequence

from driver.messages import Opcode, Status

__all__ = [
    "BadCompletion",
    "BatchRefused",
    "DeviceError",
    "DriverError",
    "LinkError",
    "LinkTimeout",
    "NoFreeSlot",
    "ProtocolMismatch",
    "RequestRefused",
]


class DriverError(Exception):
    """The base of everything that the driver raises beside ValueError for a bad argument."""


class LinkError(DriverError):
    """The transport failed: it is closed, or it lost the boundaries of the packets."""


class LinkTimeout(LinkError):
    """Nothing, or not enough for a packet, arrived in time; the link stays usable."""


class DeviceError(DriverError):
    """The device answered, but not as the caller hoped."""


class RequestRefused(DeviceError):
    """The device refused a request: ``status`` says why."""

    def __init__(self, opcode: Opcode, slot: int, status: Status):
        super().__init__(f"{opcode.name} on slot {slot} refused: {status.name}")
        self.status = status


class BatchRefused(RequestRefused):
    """The device refused some of a batch and did the rest.

    ``results`` has one entry for each item of the batch, in its order: what the device made of
    it, or the `Status` that it refused it with. ``status`` is the first refusal's.
    """

    def __init__(self, opcode: Opcode, slot: int, results: Sequence[bytes | Status]):
        refusals = [result for result in results if isinstance(result, Status)]
        super().__init__(opcode, slot, refusals[0])
        self.results = list(results)


class ProtocolMismatch(DeviceError):
    """The other end is no accelerator, or one of another contract version."""


class BadCompletion(DeviceError):
    """A completion does not match its request, or its payload is not what the contract says."""


class NoFreeSlot(DriverError):
    """Every slot of the device is allocated."""
