"""Hash units of which only the ports and constants are looked at."""

from hdl.ghash_digit import DigitGHASH
from hdl.ghash_parallel import ParallelGHASH
from hdl.profile import Profile

__all__ = ["hash_unit"]


def hash_unit(profile: Profile) -> DigitGHASH | ParallelGHASH:
    """The hash unit of a profile, which is to be no part of a design."""
    digit = profile.ghash_digit
    unit = ParallelGHASH() if digit == 128 else DigitGHASH(digit, profile.slots)
    for unused in (unit, *getattr(unit, "tables", ())):
        unused._MustUse__used = True
    return unit
