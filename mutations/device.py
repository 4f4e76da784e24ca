"""The device that is broken, and how many mutants of it there are."""

import dataclasses

from hdl.profile import COMPACT
from mutations.draw import Draw

__all__ = ["DEVICE", "EVERYWHERE", "FOCUS"]

#: `compact`, but for the limits of its keys, which are within reach: 2**24.5 records sealed and
#: 2**36 forgeries are not.
DEVICE = dataclasses.replace(COMPACT, seal_limit=40, forgery_limit=6)

EVERYWHERE = Draw(300, seed=1)
#: What keeps plaintext back: the tag's comparison, the verdict, the release buffer, the egress.
FOCUS = Draw(100, seed=2, blocks=("egress", "verdict", "tag", "released"))
