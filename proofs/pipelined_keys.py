"""LOAD's keys show in nothing that leaves the pipelined engine until something needs them."""

from unittest.mock import patch

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data, wiring

from driver.messages import HEADER_BYTES, Opcode, Status, Suite, Usage
from hdl.packet_stream import packet_layout
from hdl.pipeline import accelerator
from hdl.pipeline.accelerator import DEPTHS, PipelinedAccelerator
from hdl.pipeline.layouts import request_layout
from hdl.pipeline.plan import Found, Plan
from hdl.pipeline.queue import Queue
from hdl.profile import COMPACT, FAST, Profile
from proofs.credits import OF_CONTROL
from proofs.independence import Copy, Independence, Stimulus
from proofs.opened import Opened
from proofs.pipelined_timing import Beats
from proofs.property import Mutant, Property
from proofs.public_load import public_load
from proofs.streams import SMALL_RING

__all__ = ["PROPERTIES"]

#: The bit of an opcode that those have which seal or open.
_SEALS_OR_OPENS = 2


def _is_control(opcode: Value) -> Value:
    return opcode.matches(*OF_CONTROL)


def _is_no_message(status: Value, opcode: Value) -> Value:
    """Whether no message is made of a request: it is refused, with no blocks, or is control's."""
    refused = ~status.matches(Status.OK, Status.KEY_LIMIT)
    return refused | ((status == Status.OK) & _is_control(opcode))


def _keeps(request) -> Value:
    """The same of a request that may have a number."""
    request = request.request if "request" in request.shape().members else request
    return _is_no_message(request.status, request.echo.opcode)


class _Requests(wiring.Component):
    """A queue into which only requests are put that are no messages: what it gives is none."""

    def __init__(self, queue: Queue):
        self.queue, self.depth = queue, queue.depth
        super().__init__(queue.signature)

    @property
    def keeps(self) -> Value:
        """What has to hold of all that is put in."""
        return ~self.write.valid | _keeps(self.write.payload)

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue
        wiring.connect(m, wiring.flipped(self.write), queue.write)
        m.d.comb += [
            self.read.valid.eq(queue.read.valid),
            self.read.payload.eq(queue.read.payload),
            queue.read.ready.eq(self.read.ready),
            self.more.eq(queue.more),
            self.level.eq(queue.level),
        ]
        shape = self.read.payload.shape()
        refused = {"status": Status.MALFORMED_REQUEST}
        with m.If(~_keeps(queue.read.payload)):
            other = {"request": refused} if "request" in shape.members else refused
            m.d.comb += self.read.payload.eq(Const(other, shape))
        return m


class _KeyIsKept(Copy):
    """All payloads are private, and what of LOAD's is public is shared where it is used.

    Opcodes with bit 2 are left out: SEAL, OPEN, AEAD_SEAL, AEAD_OPEN, and others that nobody knows;
    so are packets without any byte. The invariants say that then no request is made a message.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile

    def describe(self, m: Module) -> None:
        device = PipelinedAccelerator(self._profile)
        lookup, ingress, control = device.lookup, device.ingress, device.control
        epoch = data.View(data.ArrayLayout(8, 2), self.shared("load_epoch", 16))
        control.staged_load = public_load(self, control.staged_load, epoch=epoch)
        device.numbering._ready = numbered = _Requests(device.numbering._ready)
        lookup._planner = planner = Opened(lookup._planner)
        device.numbering = numbering = Opened(device.numbering)
        device.scheduler = scheduler = Opened(device.scheduler)
        queues = [numbered]

        def make_queue(shape, depth):
            queue = Queue(shape, depth)
            if shape != request_layout():
                return queue
            queues.append(_Requests(queue))
            return queues[-1]

        with patch.object(accelerator, "Queue", make_queue):
            m.submodules.device = opened = Opened(device)
        self._connect(m, device)
        self._follow_header(m, lookup, planner)
        self._follow_plan(m, planner)
        self._follow_packet(m, ingress)
        self._follow_requests(m, numbering, scheduler)
        for number, queue in enumerate(queues):
            self.invariant(m, f"queue_{number}", queue.keeps)
        self._follow_way(m, opened)

    def _connect(self, m, device) -> None:
        """Of packets, lengths and headers are shared; all that leaves is to be the same."""
        lookup, port, completions = device.lookup, device.requests, device.completions
        beat = data.View(packet_layout(16), port.payload)
        header_bits, bytes_ = 8 * HEADER_BYTES, self.shared("bytes", 5)
        public, secret = self.shared("data", 128), self.private("data", 128)
        allowed = Cat(public[:_SEALS_OR_OPENS], 0, public[_SEALS_OR_OPENS + 1 : header_bits])
        m.d.comb += [
            port.valid.eq(self.shared("valid")),
            beat.last.eq(self.shared("last")),
            beat.bytes.eq(Mux(bytes_ == 0, 1, bytes_)),
            beat.data.eq(Mux(lookup._begins, Cat(allowed, secret[header_bits:]), secret)),
            completions.ready.eq(self.shared("ready")),
        ]
        self.equal(m, "ready", port.ready)
        self.equal(m, "valid", completions.valid)
        for name in ("data", "bytes", "last"):
            self.equal(m, name, completions.payload[name])

    def _follow_header(self, m, lookup, planner) -> None:
        """The planner knows opcodes for what they are; none is that of a message."""
        header, found = lookup._header, data.View(Found, planner["found"])
        waits, read, moves = (planner[x] for x in ("waits", "read", "header_moves"))
        here = read | moves
        self.never(m, "seals_or_opens", header.opcode[_SEALS_OR_OPENS])
        self.equal_when(m, "header", lookup._first, lookup._data[: 8 * HEADER_BYTES])
        self.invariant(m, "begins", ~lookup._opens | lookup._begins)
        self.invariant(m, "waits", ~lookup._opens | ~waits)
        self.invariant(m, "read", ~read | waits)
        self.invariant(m, "moves", ~moves | ~(waits | read))
        self.invariant(m, "bytes", ~(waits | moves) | (header.bytes != 0))
        self.invariant(m, "present", ~here | planner["present"][0])
        for code in OF_CONTROL:
            known = planner[code.name.lower()] == (header.opcode == code)
            self.invariant(m, f"is_{code.name}", ~here | known)
        self.invariant(m, "found", ~(planner["found_waits"] & moves))
        known = found.kind.unknown | _is_control(found.echo.opcode)
        self.invariant(m, "known", ~(planner["found_waits"] | planner["found_moves"]) | known)

    def _follow_plan(self, m, planner) -> None:
        """Opcodes that nobody knows are refused, and text is for LOAD."""
        found, plan = data.View(Found, planner["found"]), data.View(Plan, planner["plan"])
        valid, given = planner.plans.valid, planner.plans.payload
        full, moves = planner["plan_full"], planner["found_moves"]
        known = planner["header_refused"] | _is_control(found.echo.opcode)
        refuses = ~planner.register("header_refusal").matches(Status.OK, Status.KEY_LIMIT)
        self.invariant(m, "refused", ~moves | known)
        self.invariant(m, "refusal", ~planner["header_refused"] | refuses)
        self.invariant(m, "plan_moves", ~moves | ~(full | planner["found_waits"]))
        self.invariant(m, "plan", ~full | _is_no_message(plan.refusal, plan.echo.opcode))
        self.invariant(m, "plan_valid", ~valid | full)
        self.invariant(m, "way", ~valid | ~given.to_text | (given.load & ~given.to_drain))

    def _follow_packet(self, m, ingress) -> None:
        """Nothing is put into the queue of blocks, and status and opcode stay together."""
        sections = ingress._sections
        start, text, drain = (sections._states[x] for x in ("start", "text", "drain"))
        keeps = _is_no_message(sections.refusal, sections.plan.echo.opcode)
        self.never(m, "writes", sections._next.use.write)
        self.invariant(m, "start", ~(start & (text | drain)) & ~(text & drain))
        self.invariant(m, "sections", start | (keeps & (~text | sections.plan.load)))
        self.invariant(m, "end", ~sections.command.use.end | keeps)
        ends = ingress._use.end | ingress._done.end
        self.invariant(m, "ends", ~ends | _keeps(ingress.requests.payload))

    def _follow_requests(self, m, numbering, scheduler) -> None:
        """So they do on the way to the scheduler, which begins no message."""
        age, takes = numbering._age, numbering["may_take"]
        self.invariant(m, "took", numbering["took"] == age[0])
        self.invariant(m, "may_take", ~takes | ~age[:2].any())
        self.invariant(m, "ages", ~(age & age >> 1).any() & ~(age & age >> 2).any())
        for number, name in enumerate(("request", "second", "third")):
            keeps = _keeps(getattr(numbering, f"_{name}"))
            self.invariant(m, f"numbers_{name}", ~age[3 * number :][:3].any() | keeps)
        ready, control = scheduler["ready"], scheduler.register("control")
        self.never(m, "starts", scheduler["starts"])
        self.never(m, "tagged", scheduler.pending.payload.tagged)
        self.invariant(m, "has_blocks", ~scheduler["has_blocks"] | control)
        self.invariant(m, "described", ~scheduler["described"] | ready)
        self.invariant(m, "takes", ~scheduler["may_take"] | (ready & ~control))

    def _follow_way(self, m, device) -> None:
        """And in the registers on the way into the queue of requests."""
        layout = request_layout()
        for hop in range(DEPTHS[self._profile.aes].hops):
            valid = device["requests_queue_valid_way_history"][hop]
            payload = device["requests_queue_way_history"].word_select(hop, layout.size)
            self.invariant(m, f"way_{hop}", ~valid | _keeps(data.View(layout, payload)))

    def stimulus(self) -> Stimulus:
        load = bytes([Suite.AES_128_GCM, Usage.AEAD]) + bytes(106)
        return Beats(
            [
                bytes([Opcode.LOAD, 0, 0, 0, 0, 0, 0, len(load)]) + load,
                bytes([Opcode.INFO, 0, 0, 0, 0, 0, 0, 0]),
            ]
        )


PROPERTIES = [
    Property(
        name=f"key_is_kept.{profile.name}",
        promise=f"Until a message is sealed or opened, nothing that leaves the engine in "
        f"{profile.name}, and not when it leaves, depends on the keys and IVs that LOAD brought.",
        design=lambda profile=profile: _KeyIsKept(profile),
        method=Independence(takes_memories_out=True, runs=64),
        mutant=Mutant(
            what="what the AES core gave last is added to a report",
            module="hdl.pipeline.control",
            old="self.appended.word_select(i, 64).eq(word)",
            new="self.appended.word_select(i, 64).eq(word ^ self.encrypted.payload[:64])",
        ),
        broken_design=lambda: _KeyIsKept(SMALL_RING),
    )
    for profile in (COMPACT, FAST)
]
