"""Whether a run is over a virtual board, and how long it waits therefore."""

import os

__all__ = ["ON_A_BOARD", "PATIENCE"]

#: A virtual board is slow, and has a run of its own.
ON_A_BOARD = os.environ.get("INTAGLIO_INTEROP") == "board"
#: Seconds after which something that does not come fails a test.
PATIENCE = 600.0 if ON_A_BOARD else 30.0
