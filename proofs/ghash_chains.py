"""How the GHASH unit of a block a cycle divides messages among its chains (`hdl.hash_unit`)."""

from typing import Any
from unittest import mock

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from hdl import ghash_parallel
from hdl.hash_unit import hash_block_layout
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: Blocks of a message are counted in so many bits.
_COUNT_BITS = 13


class _Multiplier:
    """Stands for `ghash_parallel.Multiplier`: its product, whenever it comes, is anything."""

    def __init__(self, m: Module, cuts: tuple[str, ...]):
        self.a, self.b, self.product = Signal(128), Signal(128), Signal(128)
        self._m = m

    def multiply(self, a: Value, b: Value) -> Value:
        self._m.d.comb += [self.a.eq(a), self.b.eq(b), self.product.eq(AnySeq(128))]
        return self.product


class _Port:
    def __init__(self, depth: int):
        self.addr, self.data, self.en = Signal(range(depth)), Signal(128), Signal()


class _Memory(Elaboratable):
    """Stands for the memory of products: one of its words, which may be any, is known."""

    def __init__(self, shape: int, depth: int, init: list):
        self.read, self.write = _Port(depth), _Port(depth)
        self.word, self.watched = Signal(128), Signal(range(depth))

    def read_port(self, domain: str) -> _Port:
        return self.read

    def write_port(self) -> _Port:
        return self.write

    def elaborate(self, platform):
        m = Module()
        known = self.read.addr == self.watched
        m.d.comb += [
            self.watched.eq(AnyConst(len(self.watched))),
            self.read.data.eq(Mux(known, self.word, AnySeq(128))),
        ]
        with m.If(self.write.en & (self.write.addr == self.watched)):
            m.d.sync += self.word.eq(self.write.data)
        return m


class _Chains(Elaboratable):
    """Messages of any lengths, their blocks with any gaps; one block in ``chains`` is watched."""

    def __init__(self, chains: int, stages: int):
        self._chains = chains
        self._stages = stages

    def elaborate(self, platform):
        m = Module()
        unit = ghash_parallel.ParallelGHASH(self._chains, self._stages)
        made: dict[type, Any] = {}

        def kept(kind: type):
            def make(*arguments, **named):
                made[kind] = kind(*arguments, **named)
                return made[kind]

            return make

        stands_in = {"Multiplier": kept(_Multiplier), "Memory": kept(_Memory)}
        with mock.patch.multiple(ghash_parallel, **stands_in):
            m.submodules.unit = opened = Opened(unit)
        multiplier, memory = made[_Multiplier], made[_Memory]
        self._memory, product = memory, multiplier.product

        # A block as it is taken, and through the stages: the last one is that of its product.
        described = data.StructLayout(
            {
                "valid": 1,
                "block": hash_block_layout(128),
                "chain": range(self._chains),
                "before": range(self._chains + 1),  # blocks of the message, up to ``chains``
                "left": _COUNT_BITS,
            }
        )
        taken = Signal(described)
        self._take(m, unit, taken)
        stages = [taken]
        for _ in range(self._stages):
            stages.append(Signal(described))
            m.d.sync += stages[-1].eq(stages[-2])
        first, last = stages[1], stages[-1]

        # The product of the block that came so many before in the watched chain.
        before, is_deep = Signal(128), first.before == self._chains
        with m.If(last.valid & (last.chain == memory.watched)):
            m.d.sync += before.eq(product)
        total, begins = Signal(128), Signal(init=1)
        with m.If(last.valid & last.block.final):
            m.d.sync += [total.eq(Mux(begins, 0, total) ^ product), begins.eq(last.block.last)]
        ended = Signal()
        m.d.sync += ended.eq(last.valid & last.block.last)

        watched = first.valid & (first.chain == memory.watched)
        sum_ = _turned(first.block.block) ^ Mux(is_deep, before, 0)
        power = _turned(first.block.power)
        m.d.comb += [
            Assert(~watched | (multiplier.a == sum_), "the block and the product before it"),
            Assert(~first.valid | (multiplier.b == power), "the power"),
            *(
                Assert(~(first.valid & other.valid) | (first.chain != other.chain), "in time")
                for other in stages[2:]
            ),
            Assert(unit.digests.valid == ended, "a digest behind each message"),
            Assert(~ended | (unit.digests.payload == _turned(total)), "the sum of final products"),
            Assert((opened["digest"] == total) & (opened["begins"] == begins)),
            Assert(memory.word == before),
        ]
        self._follow(m, opened, stages)
        return m

    def _take(self, m, unit, taken):
        """Blocks as `hash_block_layout` wants them."""
        chains, left, before = self._chains, Signal(_COUNT_BITS), Signal(range(self._chains + 1))
        chain, new = Signal(range(chains)), left == 0
        # Of the block that was taken last.
        self._left, self._before, self._chain = left, before, chain
        payload = Value.cast(unit.blocks.payload)
        m.d.comb += [
            unit.blocks.valid.eq(AnySeq(1)),
            payload.eq(AnySeq(len(payload))),
            taken.valid.eq(unit.blocks.valid),
            taken.block.eq(unit.blocks.payload),
            taken.chain.eq(chain),
            taken.before.eq(Mux(new, 0, Mux(before == chains, chains, before + 1))),
            taken.left.eq(Mux(new, AnySeq(_COUNT_BITS), left)),
            Assume(taken.left != 0),
            Assume(taken.block.final == (taken.left <= chains)),
            Assume(taken.block.last == (taken.left == 1)),
        ]
        with m.If(taken.valid):
            m.d.sync += [
                left.eq(taken.left - 1),
                before.eq(taken.before),
                chain.eq(Mux(chain == chains - 1, 0, chain + 1)),
            ]

    def _follow(self, m, opened, stages):
        """Invariants: whose words are read and written, and what was final of the blocks before."""
        first, memory, chains = stages[1], self._memory, self._chains
        writes = self._chain
        for stage in stages[1:]:
            writes = Mux(stage.valid, stage.chain, writes)
        # Of the last block that has passed the first stage.
        left, before = Signal(_COUNT_BITS, init=1), Signal(range(chains + 1))
        with m.If(first.valid):
            m.d.sync += [left.eq(first.left), before.eq(first.before)]
        goes_on = opened["goes_on"]
        following = Mux(before == chains, chains, before + 1)
        m.d.comb += [
            Assert(memory.read.addr == Mux(first.valid, first.chain, self._chain)),
            Assert(memory.write.addr == writes),
            Assert(memory.write.en == stages[-1].valid),
            Assert(self._left + 1 == Mux(first.valid, first.left, left)),
            Assert(self._before <= chains),
            Assert(self._before == Mux(first.valid, first.before, before)),
            Assert(~first.valid | (left == 1) | (first.left + 1 == left)),
            Assert(~first.valid | (first.before == Mux(left == 1, 0, following))),
            *(
                Assert(bit == ((before >= i) & (left + i > chains)))
                for i, bit in enumerate(goes_on)
            ),
        ]


def _turned(block: Value) -> Value:
    """A block as a polynomial stands in `hdl.ghash_parallel`, or back: bytes reversed."""
    return Cat(block.word_select(i, 8) for i in reversed(range(16)))


_STAGES = 8

PROPERTIES = [
    Property(
        name="ghash.chains.8",
        promise="GHASH at a block a cycle multiplies each block, and the product of the block 8 "
        "before it in its message, by the given power, in messages of any lengths with any gaps; "
        "each digest is the sum of the products of a message's last 8 blocks.",
        design=lambda: _Chains(8, _STAGES),
        method=Induction(depth=_STAGES + 2, within=16),
        mutant=Mutant(
            what="the product of a block of the message before is added",
            module="hdl.ghash_parallel",
            old="goes_on.eq(Cat(~final, goes_on))",
            new="goes_on.eq(Cat(1, goes_on))",
        ),
    )
]
