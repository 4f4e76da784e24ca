"""The host's half of the device contract: messages, links and the device.

`Device` over a `Link` is all that most callers need::

    with Device(link) as device:
        slot = device.allocate()
        device.load(slot, Load(Suite.AES_128_GCM, Usage.SEAL, key, iv, record_number_key))
        record = device.seal(slot, 23, b"hello")
"""

from driver.device import Device, Opened
from driver.errors import (
    BadCompletion,
    BatchRefused,
    DeviceError,
    DriverError,
    LinkError,
    LinkTimeout,
    NoFreeSlot,
    ProtocolMismatch,
    RequestRefused,
)
from driver.link import Link
from driver.messages import Counter, HeaderForm, Info, Load, Status, Suite, Usage

__all__ = [
    "BadCompletion",
    "BatchRefused",
    "Counter",
    "Device",
    "DeviceError",
    "DriverError",
    "HeaderForm",
    "Info",
    "Link",
    "LinkError",
    "LinkTimeout",
    "Load",
    "NoFreeSlot",
    "Opened",
    "ProtocolMismatch",
    "RequestRefused",
    "Status",
    "Suite",
    "Usage",
]
