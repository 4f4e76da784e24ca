"""The pipelined engine's ingress takes packets of any kind, and gives one request for each."""

from amaranth.hdl import Assert, Module, Mux, Signal

from driver.messages import Opcode, Status
from hdl.pipeline.ingress import Ingress
from hdl.profile import COMPACT, FAST, Profile
from proofs.ingress import Packets, longest
from proofs.plans import largest
from proofs.property import Mutant, Property
from proofs.smt import Induction

__all__ = ["MOST_COMMANDS", "PROPERTIES", "to_request"]

#: Commands from one beat that moves on until the next one does, or since it was there.
MOST_COMMANDS = 9


def to_request(turns: int) -> int:
    """Cycles from the last beat of a packet until its request, at the most."""
    return 6 * turns + 1


def _most_waiting(profile: Profile) -> int:
    """Blocks of earlier requests that leave room for any packet."""
    return profile.queue_blocks - Ingress.MARGIN - 1 - longest(profile)


class _Progress(Packets):
    """A beat waits while there is no room for blocks, or no plan."""

    def promise(self, m: Module) -> None:
        self._promise_beats(m)
        self._promise_requests(m)
        self._promise_room(m)
        self._promise_lengths(m)

    def _promise_beats(self, m):
        front, sections = self._block.front, self._sections
        gate, ended, plan = sections._gate.read, sections._ended, sections.plan
        taken = front.beats.valid & front.beats.ready
        most = MOST_COMMANDS
        no_plan = self.is_in("start") & gate.valid & ~front.plans.valid
        no_room = ~gate.valid & ~self._block._room
        inside, waited = Signal(3), Signal(range(most + 2))
        m.d.sync += inside.eq(inside + taken - front.move)
        with m.If(front.move | ~(front.beats.valid | (inside != 0))):
            m.d.sync += waited.eq(0)
        with m.Elif(self._block._turn & ~no_plan & ~no_room):
            m.d.sync += waited.eq(waited + 1)
        # How many commands take no beat before one that does.
        age = self._inner["age"]
        commands = self._choose(
            m,
            4,
            (self.is_in("start"), 2),
            (self.is_in("template end"), 1),
            (self.is_in("prefix"), 7),
            (age[0], 6),
            (age[1], 5),
            (age[2], 4),
            (self.is_in("text") & sections._leaves, Mux(plan.open, 1, 3)),
            (self.is_in("drain") & ended, 3),
        )
        full, moves = self._opened.within("sections", "gate")["full"], sections.command.move
        left = Mux(moves, 0, commands + Mux(gate.valid, 1, 2))
        idle = ~front.beats.valid & (inside == 0)
        m.d.comb += [
            Assert(waited <= most, "a beat moves on soon"),
            Assert(idle | (waited + left <= most)),
            Assert(~full | gate.valid),
            Assert(inside == full + gate.valid + moves),
        ]

    def _promise_requests(self, m):
        block, sections, turn = self._block, self._sections, self._block._turn
        gate, ended, age = sections._gate.read, sections._ended, self._inner["age"]
        most = to_request(self._turns)
        owed, waited = Signal(3), Signal(range(most + 2))
        gives = block.requests.valid
        m.d.sync += [
            owed.eq(owed + (turn & sections._pops & gate.payload.last) - gives),
            waited.eq(Mux(gives | (owed == 0), 0, waited + 1)),
        ]
        m.d.comb += [
            Assert(~gives | (owed != 0), "no request without a packet that has ended"),
            Assert(waited <= most, "a packet that has ended gives a request soon"),
        ]
        step = 0 if self._turns == 1 else self._turns - 1 - self._opened["step"]
        # Where it is: in the packet's state, in its last command, and behind.
        inside = ended & ~self.is_in("start")
        command, use, done = sections.command.use.end, block._use.end, block._done.end
        cut = use & block._completes
        states = self._choose(
            m, 3, (self.is_in("prefix"), 4), (age[0], 3), (age[1], 2), (age[2], 1)
        )
        left = self._choose(
            m,
            8,
            (done, 0),
            (cut, 1),
            (command, step + 2),
            (inside, self._turns * states + self._turns + step + 2),
        )
        m.d.comb += [
            Assert(owed == inside + command + cut + done),
            Assert((owed == 0) | (waited + left <= most)),
        ]

    def _promise_room(self, m):
        """What was refused takes no room."""
        block, occupied, held = self._block, self._opened["occupied"], self.held
        most, most_waiting = longest(self._profile), _most_waiting(self._profile)
        held_before, held_then = Signal.like(held), Signal.like(held)
        cycles = Signal(2)  # since reset, in which there is no room
        m.d.sync += [
            held_before.eq(held),
            held_then.eq(held_before),
            cycles.eq(cycles + (cycles != 3)),
        ]
        m.d.comb += [
            Assert(
                (cycles < 2) | block._room | (held_then > most_waiting),
                "there is room while little waits",
            ),
            Assert(block.release <= most, "a request has no more blocks than the longest"),
            Assert((cycles < 1) | (occupied <= held_before + most)),
            Assert((cycles != 0) | ((held == 0) & (self._opened["count"] == 0))),
        ]

    def _promise_lengths(self, m):
        """Of messages that are not refused."""
        block, sections, plan = self._block, self._sections, self._sections.plan
        request, most = block.requests.payload, largest(self._profile)
        command = sections.command

        def is_right(opcode, text, associated):
            messages = (Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN)
            fits = (text <= most) & (associated <= most)
            return ~opcode.matches(*messages) | (fits & ((opcode != Opcode.SEAL) | (text != 0)))

        given = block.requests.valid & (request.status == Status.OK)
        ends = command.use.end & ~command.malformed
        inside = ~self.is_in("start") & ~self._waiting
        well_formed = (ends | inside) & (sections.refusal == Status.OK)
        m.d.comb += [
            Assert(
                ~given
                | is_right(request.echo.opcode, request.text_bytes, request.associated_bytes),
                "a message is no longer than the longest, and what is sealed has a content type",
            ),
            Assert(
                ~well_formed | is_right(plan.echo.opcode, sections.text, sections.associated),
            ),
            Assert(self.is_in("start") | ~plan.to_drain | (sections.refusal == plan.refusal)),
        ]

    def _choose(self, m, shape, *cases):
        """The value of the first case that is so, or 0."""
        chosen = Signal(shape)
        for condition, value in reversed(cases):
            with m.If(condition):
                m.d.comb += chosen.eq(value)
        return chosen


_MUTANT = Mutant(
    what="a packet that goes on behind its tag is left there",
    module="hdl.pipeline.sections",
    old="(self._takes & (bad | complete) & ~self._ends)",
    new="(self._takes & bad & ~self._ends)",
)

PROPERTIES = [
    Property(
        name=f"progress.ingress.{profile.name}",
        promise=f"While there is room and a plan, the next beat in `Ingress` ({profile.name}) "
        f"moves on in {(MOST_COMMANDS + 1) * turns} cycles, whatever its packet is; that gives "
        f"one request, {to_request(turns)} cycles after its last beat at the most; and there is "
        f"room for blocks while {_most_waiting(profile):,} or fewer of earlier requests wait, "
        "whatever was refused.",
        design=lambda profile=profile: _Progress(profile),
        method=Induction(depth=3, within=20, cut=("w:*words*",)),
        mutant=_MUTANT,
        broken_design=lambda: _Progress(FAST),
    )
    for profile, turns in ((COMPACT, 6), (FAST, 1))
]
