"""The pipelined engine's numbering makes no request wait, as long as what it gives is taken."""

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Mux, Signal, Value

from hdl.pipeline.numbering import Numbering
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST_UNGIVEN", "MOST_UNTAKEN", "PROPERTIES"]

#: Cycles that a request stands there with its mask, and that it is inside.
MOST_UNTAKEN, MOST_UNGIVEN = 3, 8
#: From there until it can be read, if it is the first one.
_TO_THE_QUEUE = 9


class _Soon(Elaboratable):
    """`Numbering` with any requests and masks, by streams that keep their rules (`streams`).

    Cycles do not count in which the one who reads ``numbered`` does not take what is there: that is
    the scheduler, see `progress.scheduler`. That masks come is `progress.masks`.
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Value] = []

    def elaborate(self, platform):
        m = Module()
        block = Numbering(self._profile)
        m.submodules.block = opened = Opened(block)
        requests, masks, numbered = block.requests, block.masks, block.numbered
        self.ports += [requests.valid, Value.cast(requests.payload), masks.valid, numbered.ready]
        masked = requests.payload.masked
        for port, kept in ((requests, masked), (masks, masks.valid)):
            waits, before = Signal(), Signal()
            m.d.sync += [waits.eq(port.valid & ~port.ready), before.eq(kept)]
            m.d.comb += Assume(~waits | (port.valid & (kept == before)))
        stalled, gives = numbered.valid & ~numbered.ready, numbered.valid & numbered.ready
        taken = requests.valid & requests.ready

        untaken = Signal(range(MOST_UNTAKEN + 2))
        with m.If(taken | ~requests.valid):
            m.d.sync += untaken.eq(0)
        with m.Elif((~masked | masks.valid) & ~stalled):
            m.d.sync += untaken.eq(untaken + 1)
        under_way, depth = opened["under_way"], block._ready.depth
        left = Mux(opened["may_take"], 1, Mux(under_way == depth, 3, 2))
        m.d.comb += [
            Assert(untaken <= MOST_UNTAKEN, "a request with its mask is taken soon"),
            Assert(requests.ready | (untaken + left <= MOST_UNTAKEN)),
        ]

        # Any one of the requests, and how many are before it.
        picks = Signal()
        self.ports.append(picks)
        picked, ahead, ungiven = Signal(), Signal(4), Signal(range(MOST_UNGIVEN + 2))
        inside, age = Signal(4), Signal(range(_TO_THE_QUEUE + 1))
        m.d.sync += inside.eq(inside + taken - gives)
        m.d.comb += Assert(under_way == inside + opened["took"])
        with m.If(picked):
            m.d.sync += [ahead.eq(ahead - gives), ungiven.eq(ungiven + ~stalled)]
            m.d.sync += [picked.eq(~(gives & (ahead == 0))), age.eq(age + (age != _TO_THE_QUEUE))]
        with m.Elif(taken & picks):
            m.d.sync += [picked.eq(1), ahead.eq(inside - gives), ungiven.eq(0), age.eq(0)]
        # The longest way is one on which all before it are in the queue when it gets there.
        can_be_read = picked & (age == _TO_THE_QUEUE)
        m.d.comb += [
            Assert(~picked | (ungiven <= MOST_UNGIVEN), "what was taken is given soon"),
            Assert(~picked | (ungiven <= age) | can_be_read),
            Assert(~picked | ((age <= _TO_THE_QUEUE) & (ahead < depth))),
            Assert(~can_be_read | (numbered.valid & (ahead < opened.within("ready")["level"]))),
            Assert(~can_be_read | (ungiven + ahead <= MOST_UNGIVEN)),
        ]
        self._follow(m, opened)
        return m

    def _follow(self, m, opened):
        """How many are under way, in the registers and in the queue: invariants."""
        block, queue, age = opened.block, opened.within("ready"), opened.block._age
        depth, valid = block._ready.depth, block.numbered.valid
        stored = queue["level"] - valid
        m.d.comb += [
            Assert(opened["under_way"] == sum(age) + queue["level"]),
            Assert(opened["under_way"] <= depth),
            Assert(queue["stored"] == (stored != 0)),
            Assert(
                (stored >= 0) & (((queue["free"] - queue["first"]) & (depth - 1)) == stored[:3])
            ),
            Assert(queue["second"] == ((queue["first"] + 1) & (depth - 1))),
            Assert(~(age & (age >> 1)).any() & ~(age & (age >> 2)).any()),
            Assert(opened["took"] == age[0]),
            Assert(valid | (queue["level"] <= 1)),
        ]


PROPERTIES = [
    Property(
        name=f"progress.numbering.{profile.name}",
        promise=f"A request that stands at `Numbering` ({profile.name}), with its mask if it wants "
        f"one, waits for {MOST_UNTAKEN} cycles at the most until it is taken, and then for "
        f"{MOST_UNGIVEN} until it is given, beside those in which what is given is not taken.",
        design=lambda profile=profile: _Soon(profile),
        method=Induction(depth=14, within=40, cut=("w:*numbered__payload*",)),
        mutant=Mutant(
            what="a request that the queue has given on counts as under way for ever",
            module="hdl.pipeline.numbering",
            old="under_way.eq(under_way + takes - (ready.read.valid & ready.read.ready)),",
            new="under_way.eq(under_way + takes),",
        ),
    )
    for profile in (COMPACT, FAST)
]
