"""The crypto providers that tests run with: by name, what makes one."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

from boards.catalogue import find_board
from boards.virtual import VirtualBoardModel
from driver import Device
from driver.serial_link import SerialLink
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider, Opener, Sealer
from protocol.crypto.suites import CipherSuite
from sim import CompiledModel, SimulatedLink
from sim.model_link import ModelLink


class Worker:
    """A sealer or an opener with methods that a test replaces; the others are still its own."""

    def __init__(self, own: Sealer | Opener) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def accelerator_model() -> CryptoProvider:
    return AcceleratorProvider(Device(ModelLink(AcceleratorModel(COMPACT))))


@cache
def compiled_accelerator() -> CompiledModel:
    return CompiledModel(Accelerator(COMPACT))


def accelerator_rtl() -> CryptoProvider:
    link = SimulatedLink(compiled_accelerator().simulate())
    return AcceleratorProvider(Device(link, timeout=60))


#: The virtual boards that tests have plugged in; `conftest` unplugs them after each test.
PLUGGED_IN = ExitStack()


@cache
def compiled_board() -> VirtualBoardModel:
    return VirtualBoardModel(find_board("ulx3s-25f").profile)


def accelerator_on_a_board() -> CryptoProvider:
    board = PLUGGED_IN.enter_context(compiled_board().plugged_in())
    link = SerialLink(board.port)
    PLUGGED_IN.callback(link.close)
    return AcceleratorProvider(Device(link, timeout=60))


#: What the accelerator has.
GCM_SUITES = (CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_256_GCM_SHA384)

PROVIDERS: dict[str, Callable[[], CryptoProvider]] = {
    "software": SoftwareProvider,
    "accelerator_model": accelerator_model,
    "accelerator_rtl": accelerator_rtl,
}
#: For some tests of whole sessions: on a board a record takes seconds, for its bits on the pins.
PROVIDERS_AND_BOARD = {**PROVIDERS, "virtual_board": accelerator_on_a_board}
#: Each provider with each of its suites.
PROVIDERS_AND_SUITES = [
    (name, suite)
    for name in PROVIDERS
    for suite in (CipherSuite if name == "software" else GCM_SUITES)
]
