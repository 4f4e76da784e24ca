"""Behind the AES core of the pipelined engine, what comes of a slot goes with its ticket."""

from amaranth.hdl import Assert, Assume, Elaboratable, Module, Signal, Value

from hdl.aes.history import History
from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.cipher import Cipher
from hdl.pipeline.layouts import SlotUse, Ticket
from hdl.profile import COMPACT, FAST, Profile
from proofs.hash_units import hash_unit
from proofs.opened import Opened, Unknown
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["PROPERTIES"]

#: Cycles from a slot to the block that is written, and to the key of a tag; and from the lengths of
#: a message to that of its content.
_TO_WRITE, _TO_KEY, _TO_CONTENT = 3, 1, 7


class _Kept(Elaboratable):
    """`Cipher` with any slots, messages, blocks and results."""

    def __init__(self, profile: Profile):
        self._profile = profile
        self.ports: list[Signal] = []

    def elaborate(self, platform):
        m = Module()
        profile = self._profile
        depth = profile.queue_blocks * DEPTHS[profile.aes].release
        block = Cipher(profile, hash_unit(profile), depth)
        if block.powers:
            block.powers = Unknown(block.powers)
        m.submodules.cipher = opened = Opened(block)
        slot, appended = block.slots.payload, block.appended
        takes = block.results.valid
        self.ports += [
            *(takes, block.results.payload, slot.as_value()),
            *(block.messages.payload.as_value(), block.blocks.payload),
            *(block.append, appended.as_value(), block.write_power, block.power),
            block.power_address.as_value(),
        ]
        # Of the last slot that is no mask's, before this cycle.
        last = Signal(Ticket.size)
        with m.If(takes & (slot.use != SlotUse.MASK)):
            m.d.sync += last.eq(slot.ticket)
        text = takes & (slot.use == SlotUse.TEXT)
        slots = {
            "writes": text | (takes & slot.associated),
            "text": text & ~(slot.associated | slot.last_text),
            "ticket": slot.ticket.as_value(),
            "result": block.results.payload,
        }
        ago = {name: _ago(m, name, value, _TO_WRITE) for name, value in slots.items()}
        appends, reported = _ago(m, "append", block.append, 1), _ago(m, "appended", appended, 1)
        came = _ago(m, "came", block.blocks.payload, _TO_WRITE - 1)
        has_ticket = block.data.ticket.as_value() == ago["ticket"]
        key, content = block.tag_keys, block.contents
        keyed = _ago(m, "keyed", slot.ticket, 1)
        measured = _ago(m, "measured", last, _TO_CONTENT)
        reports = block.append | (appended.block != 0)
        busy = (takes & slot.has_block) | block.messages.ready
        place = Signal.like(block.address)
        m.d.sync += place.eq(place + block.write + block.tag_places.valid)
        m.d.comb += [
            # Lengths meet no block (`progress.cipher`), nor do reports (`fence`).
            Assume(slot.has_block == (slot.associated | (slot.use == SlotUse.TEXT))),
            Assume(~(block.messages.ready & takes & slot.has_block)),
            Assume(~reports | ~_ago(m, "taken", busy, _TO_WRITE - 1)),
            Assert(~block.write | appends | ago["writes"], "what is written is a slot's"),
            Assert(~block.write | appends | has_ticket, "with its ticket"),
            Assert(
                ~(block.write & ago["text"]) | (block.data.block == ago["result"] ^ came),
                "text is what its slot has made of it",
            ),
            Assert(~appends | (block.data.as_value() == reported), "or a report's"),
            Assert(~key.valid | (key.payload.ticket.as_value() == keyed), "so has a tag's key"),
            Assert(
                ~content.valid | (content.payload.ticket.as_value() == measured),
                "and the length of a content that of the slots before it",
            ),
            Assert(block.address == place, "each block has the next place"),
            Assert(
                ~block.tag_places.valid | (block.tag_places.payload == place),
                "and each tag has one",
            ),
            Assert(opened["ticket"] == _ago(m, "last", last, 2)),
        ]
        return m


def _ago(m: Module, name: str, value, cycles: int) -> Value:
    """What it was so many cycles ago."""
    return History(m, name, Value.cast(value), cycles)[cycles]


PROPERTIES = [
    Property(
        name=f"release.cipher.{profile.name}",
        promise=f"Each block that is written ({profile.name}), the key of each tag and the length "
        "of each content have the ticket of the slot that they come of.",
        design=lambda profile=profile: _Kept(profile),
        method=Induction(depth=9, within=12),
        mutant=Mutant(
            what="a block has the ticket of the slot behind it",
            module="hdl.pipeline.cipher",
            old="Mux(self.append, self.appended.ticket, slot.ticket)",
            new="Mux(self.append, self.appended.ticket, self.slots.payload.ticket)",
        ),
    )
    for profile in (COMPACT, FAST)
]
