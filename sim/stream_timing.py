"""Idle input and stalled output, at random and repeatable: the same in every backend."""

from dataclasses import dataclass

__all__ = ["FULL_RATE", "Pattern", "StreamTiming"]

_ONE = 1 << 32


@dataclass(frozen=True)
class StreamTiming:
    """How the simulated partner of a design uses its streams.

    ``idle`` is the probability that a request beat is not offered in a cycle in which it could be
    (once offered it stays until taken, as AXI4-Stream 2.2.1 wants it); ``stall`` that TREADY of
    the completions is low in a cycle. Both are 0 to 1. One ``seed`` gives one sequence.
    """

    idle: float = 0.0
    stall: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("idle", self.idle), ("stall", self.stall)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, not {value}")
        if not 0 <= self.seed < _ONE:
            raise ValueError(f"seed {self.seed} is not in 0 .. 2**32-1")

    @property
    def idle_pattern(self) -> "Pattern":
        """Drawn once for each cycle in which a beat waits and is not yet offered."""
        return Pattern(2 * self.seed, round(self.idle * _ONE))

    @property
    def stall_pattern(self) -> "Pattern":
        """Drawn once a cycle."""
        return Pattern(2 * self.seed + 1, round(self.stall * _ONE))


class Pattern:
    """Random bits that are set with probability ``threshold / 2**32``.

    A linear congruential generator modulo 2**64 (Knuth's MMIX); its upper 32 bits are compared.
    `Pattern` of cxxrtl_runner.cc is its twin.
    """

    def __init__(self, state: int, threshold: int):
        self.state = state
        self.threshold = threshold

    def draw(self) -> bool:
        """The next bit; without a threshold nothing is drawn."""
        if not self.threshold:
            return False
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return self.state >> 32 < self.threshold


#: Every beat offered at once, every beat taken at once.
FULL_RATE = StreamTiming()
