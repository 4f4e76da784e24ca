"""What tests of the protocol share."""

from collections.abc import Iterator

import pytest

from tests.protocol.providers import PLUGGED_IN


@pytest.fixture(autouse=True)
def unplugged() -> Iterator[None]:
    """No virtual board outlives its test."""
    yield
    PLUGGED_IN.close()
