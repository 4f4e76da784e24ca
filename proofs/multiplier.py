"""The multiplier of GHASH at a block a cycle (SP 800-38D, 6.3)."""

from collections.abc import Iterator

from amaranth.hdl import Elaboratable, Module, Signal

from hdl.ghash_parallel import CUTS, Multiplier
from proofs.bilinear import Bilinear
from proofs.property import Mutant, Property

__all__ = ["PROPERTIES"]


class _Parallel(Elaboratable):
    """A product of polynomials: in each of them, bit 127 - i is the coefficient of x**i."""

    def __init__(self, stages: int):
        self._stages = stages
        self.a, self.b, self.product = Signal(128), Signal(128), Signal(128)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.product.eq(
            Multiplier(m, CUTS[: self._stages - 1]).multiply(self.a, self.b)
        )
        return m

    def expected(self, bit: int) -> Iterator[tuple[int, int]]:
        """x**i * x**j is x**(i + j), reduced."""
        for power, reduced in enumerate(_POWERS):
            if reduced >> 127 - bit & 1:
                for i in range(max(0, power - 127), min(power, 127) + 1):
                    yield 127 - i, 127 - (power - i)


def _powers() -> list[int]:
    """x**0 to x**254 modulo x**128 + x**7 + x**2 + x + 1; bit i is the coefficient of x**i."""
    powers = [1]
    for _ in range(254):
        power = powers[-1] << 1
        powers.append(power ^ (1 << 128 | 0b10000111) if power >> 128 else power)
    return powers


_POWERS = _powers()

PROPERTIES = [
    Property(
        name=f"multiplier.parallel.{stages}",
        promise=f"The multiplier of {stages} stages gives the product in GF(2**128) of every two "
        "blocks, as the polynomials of SP 800-38D define it, after the same time.",
        design=lambda stages=stages: _Parallel(stages),
        method=Bilinear(),
        mutant=Mutant(
            what="one coefficient is not reduced a second time",
            module="hdl.ghash_parallel",
            old="carried = Cat(high[1:6], high[1] ^ high[6]).shift_left(122)",
            new="carried = high[1:7].shift_left(122)",
        ),
    )
    for stages in (1, len(CUTS) + 1)
]
