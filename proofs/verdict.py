"""The replay window of the pipelined engine (RFC 9147, 4.5.1), with all that moves it."""

from dataclasses import replace

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import data

from driver.messages import Opcode, Status
from hdl.pipeline.cipher import Content
from hdl.pipeline.layouts import NUMBER_BITS, pending_layout
from hdl.pipeline.verdict import Verdict, opening_layout
from hdl.pipeline.window import ring_bits
from hdl.profile import COMPACT, FAST, Profile
from proofs.accepted_set import AcceptedSet
from proofs.one_word import OneWord
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: From a request that has been taken to the change that it makes, and to what is said of it.
_TO_CHANGE, _TO_JUDGED = 3, 5
#: In which no slot is filled behind a request, and no request begins behind that.
_QUIET = 8


class _Pipelined(Elaboratable):
    """`Verdict` gets any requests, contents, tags and loads; one slot, one number are watched."""

    def __init__(self, profile: Profile, apart: int):
        self._profile = profile
        self._apart = apart

    def elaborate(self, platform):
        m = Module()
        profile = self._profile
        layout = opening_layout(profile)
        m.submodules.accepted = accepted = AcceptedSet(profile.window)
        block = Verdict(profile, self._apart)
        block.states = states = OneWord(layout.size, profile.slots)
        m.submodules.block = opened = Opened(block)
        request, content, differs = self._drive(m, block)

        # What becomes of it, in the cycle in which it changes the slot, by the set alone.
        forgeries = Signal(layout["count"].shape)
        limited, genuine, forged, lacks_tag, accepts, here = (Signal() for _ in range(6))
        opens_here = (request.echo.opcode == Opcode.OPEN) & (
            request.echo.slot[: len(states.watched)] == states.watched
        )
        loads = _later(m, block.load & (block.load_slot == states.watched), 1)
        m.d.comb += [
            here.eq(_later(m, block.pending.ready, _TO_CHANGE) & opens_here),
            limited.eq(forgeries >= profile.forgery_limit),
            genuine.eq(request.tagged & ~differs),
            forged.eq(request.tagged & differs),
            lacks_tag.eq(request.ticket.opening & ~request.tagged & (request.status == Status.OK)),
            accepts.eq(here & genuine & ~limited & ~accepted.too_old),
            accepted.begins.eq(loads),
            accepted.first.eq(_later(m, block.load_next, 1)),
            accepted.number.eq(request.number),
            accepted.accepts.eq(accepts),
        ]
        with m.If(loads):
            m.d.sync += forgeries.eq(0)
        with m.Elif(here & forged & ~limited):
            m.d.sync += forgeries.eq(forgeries + 1)
        bad_tag = forged | lacks_tag
        expected = self._expect(m, request, limited, bad_tag, genuine, accepted, content)

        # It is said later.
        status = block.judged.payload.request.status
        said, is_tracked, twice, told, known_old = (
            _later(m, signal, _TO_JUDGED - _TO_CHANGE)
            for signal in (
                here,
                here & (request.number == accepted.tracked),
                accepts & accepted.contains_tracked,
                expected,
                here & genuine & ~limited & accepted.too_old,
            )
        )
        accepted_now = (status == Status.OK) | (status == Status.NO_CONTENT_TYPE)
        m.d.comb += [
            Assert(~said | block.judged.valid, "each is judged"),
            Assert(~known_old | (status == Status.TOO_OLD), "too old"),
            Assert(~is_tracked | (status == told), "what is said of it"),
            Assert(~(is_tracked & twice & accepted_now), "accepted twice"),
        ]
        self._follow(m, opened, accepted, forgeries, _later(m, here & ~accepts, 1))
        self._order(m, opened)
        return m

    def _expect(self, m, request, limited, bad_tag, genuine, accepted, content):
        """What is to be said of a request, if it has the tracked number."""
        expected = Signal(4)
        late = request.status.matches(Status.OK, Status.MALFORMED_RECORD, Status.WRONG_EPOCH)
        m.d.comb += expected.eq(request.status)
        with m.If(limited & late):
            m.d.comb += expected.eq(Status.KEY_LIMIT)
        with m.Elif(bad_tag):
            m.d.comb += expected.eq(Status.BAD_TAG)
        with m.Elif(genuine & ~limited):
            with m.If(accepted.too_old):
                m.d.comb += expected.eq(Status.TOO_OLD)
            with m.Elif(accepted.contains_tracked):
                m.d.comb += expected.eq(Status.REPLAYED)
            with m.Elif(content == 0):
                m.d.comb += expected.eq(Status.NO_CONTENT_TYPE)
        return expected

    def _drive(self, m, block):
        """Streams keep their rules, and slots are filled while nothing is judged.

        Returns a request that was taken, its content's length and whether its tag or that length
        has another ticket, in the cycle of its change.
        """
        pending, tags = block.pending, block.checked_tags
        for port in (pending, tags):
            bits = len(port.payload.as_value())
            waits, waiting = Signal(), Signal(bits)
            payload = port.payload.as_value()
            m.d.sync += [waits.eq(port.valid & ~port.ready), waiting.eq(payload)]
            m.d.comb += [
                port.valid.eq(waits | AnySeq(1)),
                payload.eq(Mux(waits, waiting, AnySeq(bits))),
            ]
        m.d.comb += [
            block.contents.payload.as_value().eq(AnySeq(Content.size)),
            block.load.eq(AnySeq(1)),
            block.load_slot.eq(AnySeq(len(block.load_slot))),
            block.load_next.eq(AnySeq(NUMBER_BITS)),
        ]
        quiet = [_later(m, pending.valid, i) for i in range(_QUIET)]
        m.d.comb += Assume(~block.load | ~Cat(quiet).any())
        m.d.comb += Assume(~pending.valid | ~_later(m, block.load, 1))
        request = data.View(pending_layout(), _later(m, pending.payload.as_value(), _TO_CHANGE))
        # The ticket of the length is looked at in the cycle before the length is.
        content = _later(m, block.contents.payload.as_value(), _TO_CHANGE)
        content_ticket = _later(m, block.contents.payload.ticket.as_value(), _TO_CHANGE + 1)
        tag_ticket = _later(m, tags.payload.ticket.as_value(), _TO_CHANGE)
        own = request.ticket.as_value()
        is_record = request.echo.opcode == Opcode.OPEN
        return (
            request,
            data.View(Content, content).bytes,
            (tag_ticket != own) | (is_record & (content_ticket != own)),
        )

    def _follow(self, m, opened, accepted, forgeries, refused):
        """The slot's word, as it is or as it is being written, says what the set does."""
        states, layout = opened.block.states, opening_layout(self._profile)
        old, new = data.View(layout, states.word), data.View(layout, states.write_data)
        now = Mux(states.changes, states.write_data, states.word)

        # What goes around the memory is of the request before, but while one is on its way there.
        slot = data.View(pending_layout(), opened["second"]).echo.slot
        before = slot[: len(states.watched)] == states.watched
        is_newest = before & opened["newest_valid"] & ~opened["age"][3:5].any()
        m.d.comb += [
            Assert(
                ~(states.changes & refused) | ((new.next == old.next) & (new.seen == old.seen)),
                "what is refused moves nothing",
            ),
            Assert(accepted.invariant()),
            Assert(self._agrees(data.View(layout, now), accepted, forgeries)),
        ]
        if self._apart == 1:
            m.d.comb += Assert(~is_newest | (opened["newest"] == now))

    def _agrees(self, state, accepted, forgeries):
        """Whether a state has the highest number of the set, and the bit of the tracked one."""
        width, tracked = self._profile.window, accepted.tracked
        place = tracked[: (ring_bits(width) - 1).bit_length()]
        inside = (tracked < accepted.next) & (tracked + width >= accepted.next)
        is_bit = state.seen.bit_select(place, 1) == accepted.contains_tracked
        return (state.next == accepted.next) & (~inside | is_bit) & (state.count == forgeries)

    def _order(self, m, opened):
        """Requests go through the cycles one behind the other: what no other state can be."""
        age, free = opened["age"], opened["free"]
        block = opened.block
        ready, load = block.pending.ready, block.load
        tagged = ready & block.pending.payload.tagged
        m.d.comb += [
            Assert(~(age & (age >> 1)).any() & ~(age & (age >> 2)).any()),
            Assert(~(free & age[:2].any())),
            Assert(~((load | _later(m, load, 1)) & age.any())),
            Assert(~block.states.write | (age[5] & _later(m, tagged, 4)) | _later(m, load, 2)),
            *(Assert(_later(m, ready, i) == age[1 + i]) for i in range(1, len(age) - 1)),
        ]
        if self._apart > 1:
            writes = opened["writes"]
            m.d.comb += [
                Assert(~(free & writes.any())),
                Assert(writes[0] == (age[0] & block.pending.payload.tagged)),
                *(Assert(writes[1 + i] == _later(m, tagged, i)) for i in range(3)),
                *(Assert(~(writes[i] & age[:i].any())) for i in range(1, 4)),
            ]


def _later(m, value, cycles: int):
    """The value of some cycles ago."""
    for _ in range(cycles):
        register = Signal(len(value))
        m.d.sync += register.eq(value)
        value = register
    return value


_WIDTHS = (32, 64, 128)
#: Each profile, how far apart its requests come, and what is broken.
_VARIANTS = (
    (
        COMPACT,
        Verdict.APART,
        Mutant(
            what="a forged record is taken for a genuine one",
            module="hdl.pipeline.verdict",
            old="genuine.eq(age[1] & opens & compares & ~differs)",
            new="genuine.eq(age[1] & opens & compares)",
        ),
    ),
    (
        FAST,
        1,
        Mutant(
            what="what the request before has moved is read from the memory, where it is not yet",
            module="hdl.pipeline.verdict",
            old="stays.eq(newest_valid & (slot == second.echo.slot[: len(slot)]))",
            new="stays.eq(0)",
        ),
    ),
)

PROPERTIES = [
    Property(
        name=f"replay.{profile.name}.{width}",
        promise=f"The pipelined window of {width} ({profile.name}) refuses as replayed just the "
        "numbers accepted before and as too old just those left of it, in every sequence; a record "
        "that fails authentication moves nothing but its count.",
        design=lambda profile=profile, apart=apart, width=width: _Pipelined(
            replace(profile, window=width), apart
        ),
        method=Induction(depth=9, within=14),
        mutant=mutant,
    )
    for profile, apart, mutant in _VARIANTS
    for width in _WIDTHS
]
