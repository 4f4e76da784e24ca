"""The pipelined engine's timing does not depend on data."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data

from driver.messages import HEADER_BYTES, Opcode, Suite, Usage
from hdl.block import BLOCK_BYTES
from hdl.packet_stream import packet_layout
from hdl.pipeline.accelerator import PipelinedAccelerator
from hdl.pipeline.cipher import Content
from hdl.pipeline.layouts import Ticket, context_layout
from hdl.pipeline.plan import Found, Plan
from hdl.pipeline.tag import CheckedTag
from hdl.profile import COMPACT, FAST, Profile
from proofs.independence import Copy, Independence, Stimulus
from proofs.opened import Opened, Replaced
from proofs.property import Mutant, Property
from proofs.public_load import public_load
from proofs.streams import SMALL_RING

__all__ = ["PROPERTIES"]

#: And of the prefix of an AEAD message: the length of its associated data, and what is reserved.
_PREFIX_BYTES = 4


class _WithStreams(Elaboratable):
    """A block with other ``payloads`` in some of its streams."""

    def __init__(self, block, **payloads: Value):
        self._block = block
        self._streams = {
            name: SimpleNamespace(valid=getattr(block, name).valid, payload=payload)
            for name, payload in payloads.items()
        }

    def __getattr__(self, name: str):
        return self._streams[name] if name in self._streams else getattr(self._block, name)

    def elaborate(self, platform):
        return self._block.elaborate(platform)


class _WithPrefix(Elaboratable):
    """`Sections` that get ``public`` as the first bytes of what they look into."""

    def __init__(self, block, public: Value):
        self._block, self._public = block, public
        self.data = Signal.like(block.data)

    def __getattr__(self, name: str):
        return getattr(self._block, name)

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = self._block
        m.d.comb += self._block.data.eq(Cat(self._public, self.data[len(self._public) :]))
        return m


class _Timing(Copy):
    """All that comes is private but for what says what is to be done.

    Shared are of each packet its length and its header, and the first byte of a record to open;
    and where they are used, what LOAD fixes but for keys, IV and connection ID, and the length of
    an AEAD message's associated data. What comes of the secrets is shared where it may be known: a
    record's number, encrypted and in clear, whether its header is right and its tag, and the length
    of its content.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile

    def describe(self, m: Module) -> None:
        device = PipelinedAccelerator(self._profile)
        self._declassify(m, device)
        device.lookup._planner = planner = Opened(device.lookup._planner)
        m.submodules.device = device
        lookup, port = device.lookup, device.requests
        beat = data.View(packet_layout(16), port.payload)
        public, header_bits = self.shared("data", 128), 8 * HEADER_BYTES
        opens = Signal(8)
        is_public = Mux(lookup._begins, Cat(~Const(0, header_bits), opens), 0)
        m.d.comb += [
            opens.eq((public[:8] == Opcode.OPEN).replicate(8)),
            port.valid.eq(self.shared("valid")),
            beat.last.eq(self.shared("last")),
            beat.bytes.eq(self.shared("bytes", 5)),
            beat.data.eq((public & is_public) | (self.private("data", 128) & ~is_public)),
            device.completions.ready.eq(self.shared("ready")),
        ]
        self.invariant(m, "opens", ~lookup._opens | lookup._begins)
        self.equal_when(m, "header", lookup._first, lookup._data[:header_bits])
        self._follow_flags(m, lookup, planner)
        self.equal(m, "ready", port.ready)
        self.equal(m, "valid", device.completions.valid)
        self.equal(m, "last", device.completions.valid & device.completions.payload.last)
        self.equal(m, "bytes", Mux(device.completions.valid, device.completions.payload.bytes, 0))

    def _follow_flags(self, m, lookup, planner) -> None:
        """The first byte behind a packet's header, as far as `Planner` has looked at it.

        It is the same in both copies as long as the opcode that goes with it is that of OPEN.
        """
        header, found = lookup._header, data.View(Found, planner["found"])
        plan = data.View(Plan, planner["plan"])
        waits, read, moves = (planner[x] for x in ("waits", "read", "header_moves"))
        opens = header.opcode == Opcode.OPEN
        self.invariant(m, "waits", ~lookup._opens | ~waits)
        self.invariant(m, "read", ~read | waits)
        self.invariant(m, "moves", ~moves | ~(waits | read))
        self.invariant(m, "found", ~(planner["found_waits"] & moves))
        self.invariant(m, "opcode", ~(read | moves) | (planner["open"] == opens))
        self.equal_when(m, "flags", opens, header.flags)
        self.equal_when(m, "found", found.kind.open, found.flags)
        limits = Cat(planner["least"], planner["most"])
        self.equal_when(m, "limits", planner["found_moves"] & found.kind.open, limits)
        self.equal_when(m, "unfit", plan.open, planner["unfit"])

    def _declassify(self, m, device) -> None:
        """What may be known, where it comes out of what may not."""
        lookup, ingress, control = device.lookup, device.ingress, device.control
        context = Cat(
            (self.private if name in ("iv", "connection_id") else self.shared)(
                f"context_{name}", field.width
            )
            for name, field in context_layout()
        )
        lookup.contexts = Replaced(lookup.contexts, read_data=context)
        control.staged_load = public_load(self, control.staged_load)
        ingress._reader = Replaced(
            ingress._reader, malformed=self.shared("malformed"), wire=self.shared("wire", 16)
        )
        ingress._sections = _WithPrefix(ingress._sections, self.shared("prefix", 8 * _PREFIX_BYTES))
        tag = Cat(device.tag.tags.payload.tag, self.shared("ticket", Ticket.size))
        device.tag = _WithStreams(device.tag, tags=data.View(CheckedTag, tag))
        device.cipher = _WithStreams(
            device.cipher,
            contents=data.View(Content, self.shared("content", Content.size)),
            opening_masks=self.shared("mask", 16),
        )

    def stimulus(self) -> Stimulus:
        load = bytes([Suite.AES_128_GCM, Usage.AEAD]) + bytes(106)
        message = bytes(16 + 16 + 16)
        return Beats(
            [
                bytes([Opcode.LOAD, 0, 0, 0, 0, 0, 0, len(load)]) + load,
                bytes([Opcode.AEAD_OPEN, 0, 0, 0, 0, 0, 0, len(message)]) + message,
            ]
        )


class Beats(Stimulus):
    """Packets one after the other, a beat a cycle; completions are taken at once."""

    def __init__(self, packets):
        self._beats = [
            (packet[at : at + BLOCK_BYTES], at + BLOCK_BYTES >= len(packet))
            for packet in packets
            for at in range(0, len(packet), BLOCK_BYTES)
        ]
        self._left = len(packets)

    def inputs(self):
        given = {"ready": 1, "load_suite": Suite.AES_128_GCM, "load_usage": Usage.AEAD}
        given |= {"context_valid": 1, "context_usage": Usage.AEAD}
        # That of the second packet, which is to open.
        given |= {"ticket": Ticket.const({"number": 1, "opening": 1}).as_value().value}
        if self._beats:
            beat, last = self._beats[0]
            number = int.from_bytes(beat, "little")
            given |= {"valid": 1, "data": number, "bytes": len(beat), "last": last}
        return given

    def outputs(self, equal):
        if self._beats and equal["ready"]:
            self._beats.pop(0)
        if equal["valid"] and equal["last"]:
            self._left -= 1
        return self._left > 0


#: Each profile, and what is broken in a small engine: it is in both.
_VARIANTS = (
    (
        COMPACT,
        Mutant(
            what="a multiplication ends when the rest of its factor is zero",
            module="hdl.ghash_digit",
            old="ends.eq(step == self.interval - 1)",
            new="ends.eq((step == self.interval - 1) | (~free & (factor == 0)))",
        ),
    ),
    (
        FAST,
        Mutant(
            what="a word of a key that begins with a zero is substituted in less time",
            module="hdl.aes.key_schedule",
            old="with m.If(count == Mux(clears, _SUBSTITUTION_CYCLES, _SUBSTITUTION_CYCLES - 1)):",
            new="with m.If((count == Mux(clears, 7, 6)) | ((count == 5) & (newest[:8] == 0))):",
        ),
    ),
)

PROPERTIES = [
    Property(
        name=f"timing.{profile.name}",
        promise=f"Every ready and valid of the engine in {profile.name} is the same in every "
        "cycle, whatever keys, plaintexts, ciphertexts and tags are, at equal lengths, numbers and "
        "verdicts.",
        design=lambda profile=profile: _Timing(profile),
        method=Independence(takes_memories_out=True),
        mutant=mutant,
        broken_design=lambda: _Timing(SMALL_RING),
    )
    for profile, mutant in _VARIANTS
]
