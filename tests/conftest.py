"""What all tests share."""

from hypothesis import settings

# A loaded machine is no failure: tests assert nothing about time.
settings.register_profile("intaglio", deadline=None)
settings.load_profile("intaglio")
