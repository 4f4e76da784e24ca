"""The pipelined engine's first stage takes packets as long as they are taken behind it."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from driver.messages import AEAD_PREFIX_BYTES, CONNECTION_ID_BYTES, LOAD_BYTES, TAG_BYTES, Opcode
from hdl.block import BLOCK_BYTES
from hdl.pipeline.layouts import context_layout
from hdl.pipeline.lookup import Beat, Lookup
from hdl.pipeline.plan import Found
from hdl.profile import COMPACT, FAST, Profile
from proofs.opened import Opened, Unknown
from proofs.plans import beats, is_consistent
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST_PLANNING", "MOST_WAITING", "PROPERTIES"]

#: Cycles for which a beat at the port waits for nobody, and for which a plan does.
MOST_WAITING, MOST_PLANNING = 2, 6


class _Stage(Elaboratable):
    """`Lookup` with any packets and any slots.

    Assumed is that a beat has 16 bytes if it is not the last of a packet (`hdl.packet_stream`),
    that no beat is moved on which was not given (`progress.ingress`), and that no slot has a
    connection ID of over 20 bytes: `Control` refuses to load one (`connection_id`).
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Value] = []

    def elaborate(self, platform):
        m = Module()
        self._block = block = Lookup(self._profile)
        block.contexts = Unknown(block.contexts)
        m.submodules.block = self._opened = opened = Opened(block)
        self._planner = opened.within("planner")
        packets, front = block.packets, block.front
        self.ports += [packets.valid, Value.cast(packets.payload), block.unfence, block.write]
        self.ports += [front.plans.ready, front.beats.ready, front.room, front.move, front.prior]
        beat = packets.payload
        context = data.View(context_layout(), block.contexts.read_data)
        m.d.comb += [
            Assume(context.connection_id_bytes <= CONNECTION_ID_BYTES),
            Assume(beat.last | (beat.bytes == BLOCK_BYTES)),
            Assume(beat.bytes <= BLOCK_BYTES),
        ]
        written = data.View(Beat, opened["write__payload"])
        self._written, self._ends = opened["write__valid"], written.last
        self._is_good = written.last & ~written.bad
        self._follow_beats(m)
        self._follow_planner(m)
        self.promise(m)
        return m

    def _follow_beats(self, m):
        """Beats on their way to the queue, in it, and given but not moved on: invariants."""
        opened, front = self._opened, self._block.front
        queue, depth = opened.within("beats"), Lookup.DEPTH
        level, stored = opened["level"], opened["stored"]
        given = front.beats.valid & front.beats.ready
        self._unmoved = unmoved = Signal(range(depth + 1))
        m.d.sync += unmoved.eq(unmoved + given - front.move)
        m.d.comb += Assume(~front.move | (unmoved != 0))
        in_memory = queue["level"] - front.beats.valid
        m.d.comb += [
            Assert(level == queue["level"] + self._written + unmoved),
            Assert(level + stored <= depth, "each beat has a place"),
            Assert(queue["stored"] == (in_memory != 0)),
            Assert((in_memory >= 0) & (in_memory <= depth)),
            Assert(((queue["free"] - queue["first"]) & (depth - 1)) == in_memory[:4]),
            Assert(queue["second"] == ((queue["first"] + 1) & (depth - 1))),
        ]

    def _follow_planner(self, m):
        """Requests in the planner: invariants."""
        planner, plans = self._planner, self._block.front.plans
        names = ("waits", "header_moves", "found_waits", "found_moves", "plan_full")
        self._inside = inside = Signal(3)
        self._enters = self._block._opens & self._block.packets.valid
        m.d.sync += inside.eq(inside + self._enters - planner["leaves"])
        m.d.comb += [
            Assert(inside == sum(planner[name] for name in names)),
            Assert(inside <= 3, "three requests at a time are planned"),
            Assert(~planner["read"] | planner["waits"]),
            Assert(~planner["header_moves"] | ~planner["found_waits"]),
            Assert(~planner["found_moves"] | ~planner["plan_full"]),
            Assert(~plans.valid | planner["plan_full"]),
            Assert(self._block._opens == (self._block.packets.ready & self._block._begins)),
        ]


class _Port(_Stage):
    """What a beat at the port waits for, and a plan."""

    def promise(self, m):
        block, front, planner = self._block, self._block.front, self._planner
        packets, plan_full = block.packets, planner["plan_full"]
        waits = packets.valid & ~packets.ready & ~block._fenced
        owed = front.beats.valid | (self._unmoved != 0) | (plan_full & ~planner["leaves"])
        waited, planned = Signal(range(MOST_WAITING + 2)), Signal(range(MOST_PLANNING + 2))
        plans = (self._inside != 0) & front.room & ~front.plans.valid
        m.d.sync += [
            waited.eq(Mux(waits & ~owed, waited + 1, 0)),
            planned.eq(Mux(plans, planned + 1, 0)),
        ]
        lately = Signal(2)
        m.d.sync += lately.eq(lately << 1 | planner["leaves"])
        m.d.comb += [
            Assert(~(planner["leaves"] & lately.any()), "plans are 3 cycles apart"),
            Assert(waited <= MOST_WAITING, "a beat is taken soon"),
            Assert(planned <= MOST_PLANNING, "a request has a plan soon"),
        ]
        self._promise_order(m)

    def _promise_order(self, m):
        """Each packet enters the planner before its beats come, and has one last beat."""
        block = self._block
        begun = Signal(2)  # packets whose last beat has not gone to the queue
        m.d.sync += begun.eq(begun + self._enters - (self._written & self._ends))
        coming = (block._arrived & block._last) + self._opened["rest"]
        m.d.comb += [
            Assert(~self._written | (begun != 0), "a request is planned before its beats come"),
            Assert(begun == ~block._begins + coming + (self._written & self._ends)),
        ]


class _Plans(_Stage):
    """What plans and beats say of a packet."""

    def promise(self, m):
        self._promise_plan(m)
        self._promise_end(m)

    def _promise_plan(self, m):
        """It follows from the length that the packet's header says."""
        planner, plans = self._planner, self._block.front.plans
        found = data.View(Found, planner["found"])
        length, was_full = Signal(16), Signal()
        m.d.sync += was_full.eq(planner["plan_full"])
        # What was said goes the way that the request does.
        first, entered, known = self._block.packets.payload.data, Signal(16), Signal(16)
        with m.If(self._enters):
            m.d.sync += entered.eq(Cat(first[56:64], first[48:56]))
        with m.If(planner["header_moves"]):
            m.d.sync += known.eq(entered)
        with m.If(planner["found_moves"]):
            m.d.sync += length.eq(known)
        there = planner["found_waits"] | planner["found_moves"]
        m.d.comb += [
            Assert(~planner["waits"] | (self._block._header.length == entered)),
            Assert(~there | (found.length == known)),
        ]
        planned = planner["plan_full"] & was_full
        right = is_consistent(plans.payload, length, self._profile)
        m.d.comb += [
            Assert(~plans.valid | right, "a plan is right about its packet's length"),
            Assert(~planned | right),
        ]
        self._follow_found(m, found, there)

    def _follow_found(self, m, found, there):
        """Kinds and lengths: invariants."""
        kind, length, profile = found.kind, found.length, self._profile
        kinds = Cat(kind.seal, kind.open, kind.aead_seal, kind.aead_open, kind.load)
        fits = ~(kind.wrong_length | kind.too_long)
        size = found.context.connection_id_bytes
        m.d.comb += [
            Assert(~there | ((kinds & (kinds - 1)) == 0)),
            Assert(~there | (size <= CONNECTION_ID_BYTES)),
        ]
        for name, least, most in (
            ("seal", 1, profile.largest_seal),
            ("open", 0, profile.largest_open),
            ("aead_seal", AEAD_PREFIX_BYTES, profile.largest_aead),
            ("aead_open", AEAD_PREFIX_BYTES + TAG_BYTES, profile.largest_aead),
            ("load", LOAD_BYTES, LOAD_BYTES),
        ):
            inside = (length >= least) & (length <= most)
            m.d.comb += Assert(~(there & kind[name] & fits) | inside)
            named = found.echo.opcode == Opcode[name.upper()]
            m.d.comb += Assert(~(there & named) | kind[name])

    def _promise_end(self, m):
        """A packet's last beat is bad, or the one that its length makes the last."""
        block, opened = self._block, self._opened
        size, count = Signal(16), Signal(13)
        said = Cat(block._data[56:64], block._data[48:56])
        begins = block._arrived & block._first
        with m.If(begins):
            m.d.sync += [size.eq(said), count.eq(0)]
        with m.Elif(opened["stored"]):
            m.d.sync += count.eq(count + 1)
        is_last, expected = Signal(), opened["expected"]
        m.d.sync += is_last.eq(count + 1 == beats(size))
        m.d.comb += [
            Assert(~begins | (block._header.length == said)),
            Assert(
                ~(self._written & self._is_good) | is_last,
                "a good packet has as many beats as its header says",
            ),
            Assert(expected[-1] | (expected == size - (count << 4))),
        ]


_PORT_MUTANT = Mutant(
    what="what moves on in a cycle in which a beat comes counts as if it were still there",
    module="hdl.pipeline.lookup",
    old="with m.If(stored ^ self.front.move):",
    new="with m.If(stored):",
)
_SHORT_MUTANT = Mutant(
    what="an AEAD_OPEN without room for a tag is gone through",
    module="hdl.pipeline.plan",
    old="Opcode.AEAD_OPEN: (AEAD_PREFIX_BYTES + TAG_BYTES, profile.largest_aead),",
    new="Opcode.AEAD_OPEN: (AEAD_PREFIX_BYTES, profile.largest_aead),",
)
_LENGTH_MUTANT = Mutant(
    what="of a packet's length, only the low bits are compared",
    module="hdl.pipeline.lookup",
    old="~(low & high & ~short)",
    new="~(low & ~short)",
)

PROPERTIES = [
    *(
        Property(
            name=f"progress.lookup.{profile.name}",
            promise=f"A beat at the port ({profile.name}) waits for {MOST_WAITING} cycles at the "
            "most beside those in which a beat or a plan waits behind it, or a fence is up. A "
            f"request has its plan after {MOST_PLANNING} cycles of room; all beats have a place.",
            design=lambda profile=profile: _Port(profile),
            method=Induction(depth=12, within=30),
            mutant=_PORT_MUTANT,
        )
        for profile in (COMPACT, FAST)
    ),
    *(
        Property(
            name=f"progress.plans.{profile.name}",
            promise=f"What a plan ({profile.name}) says of lengths, and of the way of a packet, "
            "follows from the length in its header, whatever it holds; and a packet's last beat is "
            "called bad unless it is the one that this length makes the last.",
            design=lambda profile=profile: _Plans(profile),
            method=Induction(depth=12, within=12),
            mutant=mutant,
        )
        for profile, mutant in ((COMPACT, _SHORT_MUTANT), (FAST, _LENGTH_MUTANT))
    ),
]
