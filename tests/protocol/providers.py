"""The crypto providers that tests run with: by name, what makes one."""

from collections.abc import Callable

from driver import Device
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import CryptoProvider
from sim.model_link import ModelLink


def accelerator_model() -> CryptoProvider:
    return AcceleratorProvider(Device(ModelLink(AcceleratorModel(COMPACT))))


PROVIDERS: dict[str, Callable[[], CryptoProvider]] = {
    "software": SoftwareProvider,
    "accelerator_model": accelerator_model,
}
