"""The multiplier of GHASH at a block a cycle (SP 800-38D, 6.3)."""

from collections.abc import Iterator

from amaranth.hdl import Elaboratable, Module, Signal

from hdl.ghash_parallel import CUTS, Multiplier
from proofs.exact import Claim, Exact, Walk
from proofs.ghash import coefficients, product
from proofs.machine import Machine
from proofs.property import Mutant, Property

__all__ = ["PROPERTIES"]


class _Product(Elaboratable):
    """A product of polynomials: in each of them, bit 127 - i is the coefficient of x**i."""

    def __init__(self, stages: int):
        self._stages = stages
        self.a, self.b, self.product = Signal(128), Signal(128), Signal(128)

    def elaborate(self, platform):
        m = Module()
        multiplier = Multiplier(m, CUTS[: self._stages - 1])
        m.d.comb += self.product.eq(multiplier.multiply(self.a, self.b))
        return m


class _Parallel(Walk):
    """One product, and anything before and behind it."""

    def __init__(self, stages: int):
        block = _Product(stages)
        super().__init__(block, a=block.a, b=block.b, product=block.product)
        self._stages = stages

    def claims(self, machine: Machine) -> Iterator[Claim]:
        a, b = machine.forms.variables(128), machine.forms.variables(128)
        inputs = {"a": coefficients(a)[::-1], "b": coefficients(b)[::-1]}
        state = machine.anything
        for _ in range(self._stages):
            outputs, state = machine.step(state, inputs)
            inputs = {}
        wanted = product(machine.forms, a, b)
        yield Claim("the product", outputs["product"], coefficients(wanted)[::-1])


PROPERTIES = [
    Property(
        name=f"multiplier.parallel.{stages}",
        promise=f"The multiplier of {stages} stages gives the product in GF(2**128) of every two "
        "blocks, as the polynomials of SP 800-38D define it, after the same time.",
        design=lambda stages=stages: _Parallel(stages),
        method=Exact(),
        mutant=Mutant(
            what="one coefficient is not reduced a second time",
            module="hdl.ghash_parallel",
            old="carried = Cat(high[1:6], high[1] ^ high[6]).shift_left(122)",
            new="carried = high[1:7].shift_left(122)",
        ),
    )
    for stages in (1, len(CUTS) + 1)
]
