"""The pipelined engine's scheduler takes what it may take: requests, and masks between them."""

from amaranth.hdl import Assert, Assume, Mux, Signal

from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.scheduler import MASKS_AHEAD
from hdl.profile import COMPACT, FAST
from proofs.open_scheduler import OpenScheduler
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST_WAITS", "PROPERTIES"]


#: Cycles in which a request may begin and does not.
MOST_WAITS = 2
#: Masks to open that are begun before one to seal.
_BEFORE = MASKS_AHEAD + 3


class _TakesRequests(OpenScheduler):
    """`Scheduler` with any requests and masks, and an AES core that takes a block when it likes.

    `Control` is done only with what it was asked for, and nothing leaves that has not begun
    (`progress.control`, `credits`). Counted are cycles in which a
    slot may begin and no message has the core.
    """

    def describe(self, m, opened, block):
        depth, in_flight = self._depth, self._in_flight
        ready, takes, control = opened["ready"], opened["takes"], opened.register("control")
        idle, advance, waits = opened["idle"], opened["advance"], opened["waits"]
        released, accepted = opened["released"], opened["accepted"]
        under_way, free, described = opened["under_way"], opened["free"], opened["described"]
        has_room = (under_way != in_flight) & ((free >= released) | ~accepted)
        may_begin = Mux(control, (under_way == 0) & ~waits, has_room & advance) & idle

        waited, loaded = Signal(3), Signal()
        m.d.sync += [
            waited.eq(Mux(takes | block.control, 0, waited + (described & may_begin))),
            loaded.eq(block.requests.valid & (~ready | takes)),
        ]
        m.d.comb += [
            Assume(~block.control_done | waits),
            Assume(~block.left | (under_way != 0)),
            Assume(~block.block_left | (free < depth)),
            Assume(~block.blocks.ready | block.blocks.valid),
            Assert(block.requests.ready == loaded, "a request is taken if none is at hand"),
            Assert(waited <= MOST_WAITS, "a request with room behind it begins"),
            Assert(~described | (ready & (opened["claimed"] == 0))),
            Assert(~loaded | ready),
            Assert(under_way <= in_flight),
            Assert(~opened["may_take"] | (described & ~control & (under_way < in_flight))),
            Assert(~opened["may_control"] | (described & control & (under_way == 0))),
            Assert(~opened["empty"] | (under_way == 0)),
            Assert(~waits | (ready & control & (under_way == 0) & ~opened["may_control"])),
            Assert((waited == 0) | (described & Mux(control, opened["empty"], opened["may_take"]))),
            Assert((waited < 2) | (control & opened["may_control"])),
        ]


class _TakesMasks(OpenScheduler):
    """`Scheduler` with any requests and masks, and an AES core that takes a block when it likes.

    No more masks to open are used than were begun, and no more are begun and not used than there
    are places for requests that wait for theirs. A mask waits if it is not the one that goes into
    the block at hand.
    """

    def describe(self, m, opened, block):
        uses, ahead = opened["uses"], opened["ahead"]
        begins, opens = opened["takes_mask"], opened["opens"]
        opening, sealing = block.opening_masks, block.sealing_masks
        slot = opened["idle"] & opened["advance"]
        to_open = opening.valid & (~uses[0] | block.more_opening_masks)
        to_seal = sealing.valid & (~uses[1] | block.more_sealing_masks)

        # Slots without a message in which none is begun; masks to open that are begun before one to
        # seal, and those used meanwhile; masks to seal that are begun while none to open is ahead.
        slots, opened_before, used, sealed_before = Signal(2), Signal(8), Signal(8), Signal(3)
        m.d.sync += [
            slots.eq(Mux(begins | ~(to_open | to_seal), 0, slots + slot)),
            opened_before.eq(Mux(to_seal, opened_before + (begins & opens), 0)),
            used.eq(Mux(to_seal, used + block.mask_used, 0)),
        ]
        starved = to_open & (ahead == 0)
        m.d.sync += sealed_before.eq(Mux(starved, sealed_before + (begins & ~opens), 0))
        most_ahead = 2 * DEPTHS[self._profile.aes].waiting
        m.d.comb += [
            Assume(~block.blocks.ready | block.blocks.valid),
            Assume(~block.mask_used | (ahead != 0)),
            Assume(~opening.valid | (ahead + opened["begun"] < most_ahead)),
            Assume((opened_before < 128) & (used < 128)),
            Assert(slots <= 2, "a mask that waits is soon begun"),
            Assert(opened_before <= _BEFORE + used, "one to seal has its turn"),
            Assert(sealed_before <= 2, "one to open that is needed has its turn"),
        ]
        self._follow(m, opened, opened_before, used, most_ahead)

    def _follow(self, m, opened, opened_before, used, most_ahead):
        """Masks that are ahead, and whether there are enough: invariants."""
        begun, enough, ahead = opened["begun"], opened["enough"], opened["ahead"]
        m.d.comb += [
            Assert(enough | (ahead <= MASKS_AHEAD)),
            Assert(ahead + begun <= most_ahead + 2),
            Assert(opened_before <= ahead + begun + used),
        ]


PROPERTIES = [
    *(
        Property(
            name=f"progress.requests.{profile.name}",
            promise=f"A request for which there is room behind the scheduler ({profile.name}) "
            f"waits for {MOST_WAITS} cycles at the most in which no message has the core and a "
            "slot may begin; one that needs the pipeline empty, for as many in which it is.",
            design=lambda profile=profile: _TakesRequests(profile),
            method=Induction(depth=5, within=20, cut=("w:*nonce",)),
            mutant=Mutant(
                what="the pipeline is not empty while a request waits for that",
                module="hdl.pipeline.scheduler",
                old="empty.eq((under_way == 0) & ~takes),",
                new="empty.eq((under_way == 0) & ~ready),",
            ),
        )
        for profile in (COMPACT, FAST)
    ),
    *(
        Property(
            name=f"progress.masks.{profile.name}",
            promise=f"While a mask waits at the scheduler ({profile.name}), one is begun in the "
            f"third slot without a message at the latest; before one to seal {_BEFORE} to open at "
            "the most, and one for each that is used meanwhile; and before one to open of which "
            "none is ahead, 2 to seal.",
            design=lambda profile=profile: _TakesMasks(profile),
            method=Induction(depth=5, within=80, cut=("w:*nonce",)),
            mutant=mutant,
        )
        for profile, mutant in (
            (
                COMPACT,
                Mutant(
                    what="a mask to seal does not make a slot for masks",
                    module="hdl.pipeline.scheduler",
                    old="some_mask.eq((may_open | may_seal) & ~takes_mask),",
                    new="some_mask.eq(may_open & ~takes_mask),",
                ),
            ),
            (
                FAST,
                Mutant(
                    what="masks to open always come first",
                    module="hdl.pipeline.scheduler",
                    old="opens.eq(may_open & ~(may_seal & enough)),",
                    new="opens.eq(may_open),",
                ),
            ),
        )
    ),
]
