"""Finding boards by the USB ids of their adapters."""

from dataclasses import dataclass

import pytest

from driver.errors import LinkError
from driver.serial_port import find_board, find_boards


@dataclass
class Port:
    """What pyserial says of a port."""

    device: str
    vid: int | None = None
    pid: int | None = None
    product: str | None = None
    location: str | None = None
    description: str = "n/a"


ULX3S = Port("/dev/ttyUSB0", 0x0403, 0x6015, "ULX3S FPGA 85K v3.0.8", "1-2")
ICEBREAKER = [
    Port("/dev/ttyUSB1", 0x0403, 0x6010, "iCEBreaker V1.0e", "1-4:1.0"),
    Port("/dev/ttyUSB2", 0x0403, 0x6010, "iCEBreaker V1.0e", "1-4:1.1"),
]
OTHERS = [Port("/dev/ttyS0"), Port("/dev/ttyACM0", 0x2341, 0x0043, "Arduino Uno", "1-3:1.0")]


@pytest.fixture
def plug_in(monkeypatch):
    def plug(*ports):
        monkeypatch.setattr("driver.serial_port.list_ports.comports", lambda: list(ports))

    return plug


def test_a_board_is_found_by_its_adapter(plug_in):
    plug_in(*OTHERS, ULX3S)
    assert find_board() == "/dev/ttyUSB0"
    assert find_boards()[0].title == "ULX3S FPGA 85K v3.0.8"


def test_of_two_ports_of_an_adapter_the_uart_is_taken(plug_in):
    plug_in(*ICEBREAKER)
    assert find_board() == "/dev/ttyUSB2"


def test_no_board_is_told_in_a_sentence(plug_in):
    plug_in(*OTHERS)
    with pytest.raises(LinkError, match="No board was found: plug it in"):
        find_board()


def test_of_several_boards_none_is_guessed(plug_in):
    plug_in(ULX3S, *ICEBREAKER)
    with pytest.raises(LinkError, match=r"one of /dev/ttyUSB0 \(ULX3S.*\), /dev/ttyUSB2"):
        find_board()
