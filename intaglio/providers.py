"""Who protects the records, by the name that the command line takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from driver import Device
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.fallback import FallbackProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider

__all__ = ["DEVICE_TIMEOUT", "ProviderName", "open_provider"]

#: Seconds that a request may take: simulated devices are slow, and more so with waves.
DEVICE_TIMEOUT = 60.0


class ProviderName(StrEnum):
    """The providers that a user can choose."""

    ACCELERATOR = "accelerator"
    SOFTWARE = "software"


@contextmanager
def open_provider(name: ProviderName, building: Callable[[str], None]) -> Iterator[CryptoProvider]:
    """A provider for as long as the context lasts.

    The accelerator is a simulated one of profile compact; suites that it lacks fall back to
    software. ``building`` is told of each step of its build that takes long. Raises
    `sim.SimulationError` if it cannot be built.
    """
    if name is ProviderName.SOFTWARE:
        yield SoftwareProvider()
        return
    # The gateware's packages are an extra: a session in software does without.
    from hdl.accelerator import Accelerator
    from hdl.profile import COMPACT
    from sim import CompiledModel, SimulatedLink

    link = SimulatedLink(CompiledModel(Accelerator(COMPACT), False, building).simulate())
    with Device(link, timeout=DEVICE_TIMEOUT) as device:
        yield FallbackProvider(AcceleratorProvider(device), SoftwareProvider())
