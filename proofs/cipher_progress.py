"""Behind the AES core of the pipelined engine, nothing waits: each result gives what it gives."""

from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal

from hdl.aes.history import History
from hdl.block import BLOCK_BYTES
from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.cipher import Cipher
from hdl.pipeline.layouts import SlotUse
from hdl.pipeline.scheduler import pace
from hdl.profile import COMPACT, FAST, Profile
from proofs.hash_units import hash_unit
from proofs.opened import Opened, Unknown
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: Blocks of text in a message are less than this.
_MOST_BLOCKS = 1 << 11


class _Gives(Elaboratable):
    """`Cipher` with any slots and messages, whose results come as far apart as slots do.

    Behind the last slot of a message comes one without a block, or none in its time (`pace`).
    """

    def __init__(self, profile: Profile):
        self._profile = profile
        self._unit = hash_unit(profile)
        self._pace = pace(profile, self._unit.interval)
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        profile, unit = self._profile, self._unit
        block = Cipher(profile, unit, profile.queue_blocks * DEPTHS[profile.aes].release)
        if block.powers:
            block.powers = Unknown(block.powers)
        m.submodules.cipher = self._opened = opened = Opened(block)
        self._block = block
        self.ports += [
            *(block.results.valid, block.results.payload, block.slots.payload.as_value()),
            *(block.messages.payload.as_value(), block.blocks.payload),
            *(block.append, block.appended.as_value(), block.write_power, block.power),
            block.power_address.as_value(),
        ]
        apart, behind_last = self._assume(m)
        slot, takes = block.slots.payload, block.results.valid
        lengths, due = block.messages.ready, opened["due"]
        hashes = (takes & slot.has_block) | lengths

        waits, since = Signal(8), Signal(8, init=unit.interval)
        m.d.sync += [
            waits.eq(Mux(due & ~lengths, waits + 1, 0)),
            since.eq(Mux(hashes, 1, Mux(since < unit.interval, since + 1, since))),
        ]
        had_block, far = Signal(), since >= unit.interval  # had_block: the last slot that came
        with m.If(takes):
            m.d.sync += had_block.eq(slot.has_block)
        m.d.comb += [
            Assert(waits < unit.interval, "the lengths of a message are soon hashed"),
            Assert(~lengths | ~had_block | (waits == unit.interval - 1), "behind its last block"),
            Assert(~lengths | opened["begun"] | (waits == 0), "or at once, if it has none"),
            Assert(~(lengths & takes & slot.has_block), "they meet no other block"),
            Assert(~hashes | (since >= unit.interval), "the hash unit can take each block"),
            Assert(~due | lengths | (since < unit.interval)),
            Assert(unit.interval == 1 or (opened["free"] == (since == unit.interval))),
            Assert(
                unit.interval == 1 or opened["free"] | (opened["wait"] == unit.interval - since)
            ),
            Assert((waits == 0) | (waits < since)),
            # Behind a last slot, the lengths are hashed before the next block comes.
            Assert(~due | (behind_last & (waits + 1 == apart))),
            Assert(~(due & behind_last) | far | (since >= apart)),
            Assert(behind_last | far | (since >= apart)),
            Assert(~behind_last | far | (since + unit.interval >= apart)),
        ]
        # Of a message without a block, the lengths of the one before were the last to be hashed.
        twice, begun = 2 * self._pace, opened["begun"]
        since_last = Signal(8, init=twice)
        m.d.sync += since_last.eq(
            Mux(takes & slot.last, 1, Mux(since_last < twice, since_last + 1, since_last))
        )
        m.d.comb += [
            Assert(begun | due | far | (since + unit.interval >= since_last)),
            Assert(begun | ~due | far),
            Assert(~behind_last | (since_last == apart)),
            Assert(behind_last | (since_last == twice) | (since_last >= apart + self._pace)),
            Assert((since_last <= twice) & (apart <= twice)),
        ]
        self._give(m, takes, lengths, hashes)
        self._measure(m, takes)
        return m

    def _assume(self, m):
        """When results come, and with what."""
        block, pace_ = self._block, self._pace
        slot, takes = block.slots.payload, block.results.valid
        apart, behind_last = Signal(8, init=2 * pace_), Signal()
        m.d.sync += apart.eq(Mux(takes, 1, Mux(apart < 2 * pace_, apart + 1, apart)))
        with m.If(takes):
            m.d.sync += behind_last.eq(slot.last)
        nothing = ~(slot.has_block | slot.last)
        m.d.comb += [
            Assume(~takes | (apart >= pace_)),
            Assume(~(takes & behind_last) | nothing | (apart >= 2 * pace_)),
        ]
        return apart, behind_last

    def _give(self, m, takes, lengths, hashes):
        """What is given, and so many cycles later."""
        block = self._block
        slot, message = block.slots.payload, block.messages.payload
        use = slot.use
        masks = takes & (use == SlotUse.MASK)
        seals = lengths & ~message.opening & ~message.refused
        is_first = takes & (use == SlotUse.TEXT) & slot.first_text & message.seal
        for what, port, value, cycles in (
            ("a key of a tag", "tag_keys", takes & (use == SlotUse.TAG), 1),
            ("a mask to open", "opening_masks", masks & slot.opening, 1),
            ("a mask to seal", "sealing_masks", masks & ~slot.opening, 1),
            ("a received tag", "received_tags", lengths, 2),
            ("a block to hash", "hashed", hashes, 3),
            ("a place for a tag", "tag_places", seals, 3),
            ("a first block", "first_blocks", is_first, 3),
            ("the length of a content", "contents", lengths & message.opening, 7),
        ):
            history = History(m, f"gives_{port}", value, cycles, reset_less=False)
            m.d.comb += Assert(
                getattr(block, port).valid == history[cycles], f"{what} is given, when it should be"
            )

        writes = takes & ((use == SlotUse.TEXT) | (slot.associated & message.seal))
        written = History(m, "writes", writes & ~message.refused, 3, reset_less=False)[3]
        appended = History(m, "appends", block.append, 1, reset_less=False)[1]
        m.d.comb += Assert(block.write == written | appended, "a block is written")

    def _measure(self, m, takes):
        """The content of an opened text is not longer than the blocks of it that came."""
        block, slot = self._block, self._block.slots.payload
        text = takes & (slot.use == SlotUse.TEXT)
        late = History(m, "texts", Cat(text, slot.first_text), 6, reset_less=False)[6]
        blocks = Signal(12)
        with m.If(late[0]):
            m.d.sync += blocks.eq(Mux(late[1], 0, blocks) + 1)
        content = block.contents.payload.bytes
        m.d.comb += [
            Assume(blocks < _MOST_BLOCKS),
            Assert(content <= BLOCK_BYTES * blocks, "the content is in the text"),
            Assert(self._opened["before"] == BLOCK_BYTES * blocks),
            Assert(self._opened["end"] <= BLOCK_BYTES),
        ]


PROPERTIES = [
    Property(
        name=f"progress.cipher.{profile.name}",
        promise=f"What comes out of the AES core ({profile.name}) is taken in its cycle; it gives "
        "the key of a tag or a mask 1 cycle later, and what is hashed or written 3 cycles later. "
        f"The lengths of a message are hashed {when}; its received tag comes 2 cycles after that, "
        "the place of its tag 3, and the length of its content 7, which is in the blocks of its "
        "text. Blocks come to the hash unit as far apart as it needs.",
        design=lambda profile=profile: _Gives(profile),
        method=Induction(depth=9, within=30),
        mutant=mutant,
    )
    for profile, when, mutant in (
        (
            COMPACT,
            "10 cycles behind its last slot if that has a block, and 1 if the message has none",
            Mutant(
                what="the hash unit is given the lengths a cycle before it can take them",
                module="hdl.pipeline.cipher",
                old="free.eq(wait == 1)]",
                new="free.eq(wait == 2)]",
            ),
        ),
        (
            FAST,
            "in the cycle behind its last slot",
            Mutant(
                what="the lengths of a message are hashed once and again",
                module="hdl.pipeline.cipher",
                old="due.eq((takes & slot.last) | (due & ~lengths))",
                new="due.eq((takes & slot.last) | due)",
            ),
        ),
    )
]
