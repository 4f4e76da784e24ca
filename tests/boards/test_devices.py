"""The table of devices."""

import pytest

from boards.devices import DEVICES, FAMILIES, find_device


def test_an_unknown_device_is_told_the_choices():
    with pytest.raises(ValueError, match=r"device 'ecp5-99k' is not one of .*up5k, gw1nr-9c$"):
        find_device("ecp5-99k")


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_has_a_family(name):
    assert find_device(name).name == name
    assert find_device(name).family in FAMILIES
