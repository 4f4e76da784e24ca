"""What all tests share."""

import os

from hypothesis import settings

# Most models run for a few thousand cycles: what -O3 takes longer to compile never comes back.
os.environ.setdefault("INTAGLIO_CXXFLAGS", "-O1")

# A loaded machine is no failure: tests assert nothing about time.
settings.register_profile("intaglio", deadline=None)
settings.load_profile("intaglio")
