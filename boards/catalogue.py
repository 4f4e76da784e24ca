"""The boards that there are bitstreams for."""

from boards import icebreaker, orangecrab, tang_nano, ulx3s
from boards.board import Board

__all__ = ["BOARDS", "find_board"]

_FILES = (icebreaker, ulx3s, orangecrab, tang_nano)

#: By name.
BOARDS = {board.name: board for file in _FILES for board in file.BOARDS}


def find_board(name: str) -> Board:
    """The board of that name; ValueError, with the choices, if there is none."""
    if name not in BOARDS:
        raise ValueError(f"board {name!r} is not one of {', '.join(BOARDS)}")
    return BOARDS[name]
