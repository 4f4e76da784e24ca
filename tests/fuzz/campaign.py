"""How long the fuzzing goes: a little in the test suite, `make fuzz` for a campaign."""

import os

from hypothesis import HealthCheck, settings

#: Inputs for each parser.
EXAMPLES = int(os.environ.get("INTAGLIO_FUZZ", "100"))


def examples(divisor: int = 1) -> settings:
    """The decorator for a test whose inputs cost ``divisor`` times those of a parser."""
    return settings(
        max_examples=max(EXAMPLES // divisor, 5),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
