"""Virtual boards for tests, each built once a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from boards.virtual import VirtualBoard, VirtualBoardModel
from hdl.profile import TINY
from tests.hdl.host_link.echo import compiled_echo


@contextmanager
def echo_board() -> Iterator[VirtualBoard]:
    """A board that gives every request back: the link, with no accelerator behind it."""
    board = VirtualBoard(compiled_echo().simulate(), quiet_cycles=4000)
    try:
        yield board
    finally:
        board.close()


@cache
def _tiny() -> VirtualBoardModel:
    return VirtualBoardModel(TINY)


def tiny_board():
    return _tiny().plugged_in()
