"""Who protects the records, by the name that the command line takes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from driver import Device, Link
from driver.serial_link import SerialLink
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.fallback import FallbackProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider

if TYPE_CHECKING:
    from boards.virtual import VirtualBoard, VirtualBoardModel

__all__ = [
    "DEVICE_TIMEOUT",
    "VIRTUAL_BOARD",
    "ProviderName",
    "open_provider",
    "plug_in",
    "virtual_model",
]

#: Seconds that a request may take: simulated devices are slow, and more so with waves.
DEVICE_TIMEOUT = 60.0
#: The board that is simulated unless the user says which.
VIRTUAL_BOARD = "ulx3s-25f"


class ProviderName(StrEnum):
    """The providers that a user can choose."""

    ACCELERATOR = "accelerator"
    SOFTWARE = "software"
    #: The accelerator as on a board, behind a serial port: see `boards.virtual`.
    VIRTUAL_BOARD = "virtual-board"


@contextmanager
def open_provider(name: ProviderName, building: Callable[[str], None]) -> Iterator[CryptoProvider]:
    """A provider for as long as the context lasts.

    The accelerator is a simulated one of profile compact, alone or on the virtual board; suites
    that it lacks fall back to software. ``building`` is told of each step of its build that takes
    long. Raises `sim.SimulationError` if it cannot be built.
    """
    if name is ProviderName.SOFTWARE:
        yield SoftwareProvider()
        return
    with ExitStack() as stack:
        link: Link
        if name is ProviderName.VIRTUAL_BOARD:
            _, link = stack.enter_context(plug_in(virtual_model(building)))
        else:
            # The gateware's packages are an extra: a session in software does without.
            from hdl.accelerator import Accelerator
            from hdl.profile import COMPACT
            from sim import CompiledModel, SimulatedLink

            link = SimulatedLink(CompiledModel(Accelerator(COMPACT), False, building).simulate())
        device = stack.enter_context(Device(link, timeout=DEVICE_TIMEOUT))
        yield FallbackProvider(AcceleratorProvider(device), SoftwareProvider())


def virtual_model(
    building: Callable[[str], None], name: str = VIRTUAL_BOARD
) -> "VirtualBoardModel":
    """What virtual boards of that name are made from; ValueError if there is no such board.

    ``building`` and other errors are as for `open_provider`.
    """
    from boards.catalogue import find_board
    from boards.virtual import VirtualBoardModel

    return VirtualBoardModel(find_board(name).profile, building)


@contextmanager
def plug_in(model: "VirtualBoardModel") -> "Iterator[tuple[VirtualBoard, SerialLink]]":
    """A virtual board and a link to its port; at the end it is unplugged."""
    with model.plugged_in() as board:
        link = SerialLink(board.port)
        try:
            yield board, link
        finally:
            link.close()
