"""Verdicts on requests of a few slots, 3 cycles apart or more, against a model of the window.

Tags and lengths of content that have the ticket of another request refuse what they come with.
"""

import random
from collections import deque
from dataclasses import dataclass, replace

import pytest
from amaranth.hdl import Value

from driver.messages import Opcode, Status
from hdl.pipeline.verdict import Verdict
from hdl.profile import FAST
from tests.hdl.pipeline.tickets import as_dict, ticket_of, void
from tests.hdl.streams import simulate

SLOTS = 4
TOP = (1 << 48) - 1
OPENS = (Opcode.OPEN, Opcode.AEAD_OPEN)
LATE = (Status.OK, Status.MALFORMED_RECORD, Status.WRONG_EPOCH)


@dataclass
class Slot:
    next: int
    seen: int
    count: int = 0


class Model:
    def __init__(self, profile):
        self.profile = profile
        self.slots: dict[int, Slot] = {}

    def load(self, slot, number):
        self.slots[slot] = Slot(number, (1 << self.profile.window) - 1)

    def judge(self, request, forged, content) -> Status:
        opcode, status = request["echo"]["opcode"], request["status"]
        slot, window = self.slots[request["echo"]["slot"]], self.profile.window
        opens = opcode == Opcode.OPEN
        if opens and status in LATE and slot.count >= self.profile.forgery_limit:
            return Status.KEY_LIMIT
        if not request["tagged"] or opcode not in OPENS:
            return status
        if forged:
            slot.count += opens
            return Status.BAD_TAG
        if not opens:
            return status
        number = request["number"]
        if number >= slot.next:
            ahead = number - slot.next
            slot.seen = (slot.seen << (ahead + 1) | 1) & ((1 << window) - 1)
            slot.next = number + 1
        else:
            place = slot.next - 1 - number
            if place >= window:
                return Status.TOO_OLD
            if slot.seen >> place & 1:
                return Status.REPLAYED
            slot.seen |= 1 << place
        return status if content else Status.NO_CONTENT_TYPE


def random_request(source, model):
    slot = source.choice((0, 0, 0, 1, 1, 3))
    opcode = source.choice((Opcode.OPEN,) * 6 + (Opcode.SEAL, Opcode.AEAD_SEAL, Opcode.AEAD_OPEN))
    tagged = source.random() < 0.9
    next_, window = model.slots[slot].next, model.profile.window
    distances = (-1, -2, 0, 0, 1, 2, -window, -window - 1, -window - 2, window - 1, window)
    distance = source.choice((*distances, source.randint(-window, window), 1 << 20))
    status = Status.OK if tagged else source.choice((*LATE[1:], Status.MALFORMED_REQUEST))
    return {
        "echo": {"opcode": opcode, "slot": slot, "request_id": source.getrandbits(16)},
        "status": status,
        "tagged": tagged,
        "aes256": source.getrandbits(1),
        "sixteen": 0,
        "length": 0,
        "tail_at": 1,
        "epoch": source.getrandbits(16),
        "number": min(max(next_ + distance, 0), TOP),
        "text_bytes": source.choice((*range(1, 18), 100, 1000)),
    }


class Bench:
    """Judges requests, and collects what comes out and what should."""

    def __init__(self, profile, source, apart):
        self.source, self.dut, self.model = source, Verdict(profile, apart), Model(profile)
        self.apart = apart
        self.judged, self.tags, self.masks = [], [], []
        self.expected, self.sealed, self.samples = [], [], []
        #: What stands in the queues of these, the first one at the port.
        self.waiting = {"contents": deque(), "first_blocks": deque()}
        self.cycle = self.next_tag = self.number = 0

    async def watch(self, ctx):
        streams = (
            (self.dut.judged, self.judged),
            (self.dut.tags, self.tags),
            (self.dut.masks, self.masks),
        )
        signals = [signal for one, _ in streams for signal in (one.valid, one.payload)]
        queues = [(getattr(self.dut, name), queue) for name, queue in self.waiting.items()]
        ready = [port.ready for port, _ in queues]
        async for *_, a, b, c, d, e, f, opened, sealed in ctx.tick().sample(*signals, *ready):
            self.cycle += 1
            for (_, into), (valid, payload) in zip(streams, ((a, b), (c, d), (e, f)), strict=True):
                into += [payload] * valid
            for (port, queue), popped in zip(queues, (opened, sealed), strict=True):
                if popped:
                    queue.popleft()
                    if queue:
                        ctx.set(port.payload, queue[0])
                    else:
                        ctx.set(Value.cast(port.payload), self.source.getrandbits(24))

    async def load(self, ctx):
        dut, source = self.dut, self.source
        await ctx.tick().repeat(10)
        for slot in range(SLOTS):
            number = source.choice((0, 0, 5, source.getrandbits(40), TOP - 20))
            self.model.load(slot, number)
            ctx.set(dut.load, 1)
            ctx.set(dut.load_slot, slot)
            ctx.set(dut.load_next, number)
            await ctx.tick()
        ctx.set(dut.load, 0)
        await ctx.tick().repeat(10)

    async def judge(self, ctx, request, forged=None, tag_ticket=None, content_ticket=None):
        """A request; if it has a tag, that comes ``apart`` cycles after the one before.

        Tag and length of content have its ticket, or the ones given, which are wrong.
        """
        dut, source = self.dut, self.source
        opens = request["echo"]["opcode"] in OPENS
        ticket = ticket_of(self.number, opens)
        request |= {"ticket": ticket}
        self.number += 1
        tag, block = source.getrandbits(128), source.getrandbits(128)
        content = source.choice((0, 1, 2, 300, 300, 300))
        if forged is None:
            forged = opens and source.random() < 0.15
        if tag_ticket is None:
            tag_ticket = void(ticket) if forged else ticket
        block &= (1 << 8 * min(16, request["text_bytes"])) - 1
        ctx.set(dut.pending.payload, request)
        ctx.set(dut.pending.valid, 1)
        if request["tagged"]:
            await ctx.tick()
            while self.cycle < self.next_tag:
                await ctx.tick()
            self.next_tag = self.cycle + self.apart + 1
            opcode = request["echo"]["opcode"]
            if opens:
                found = {"bytes": content, "ticket": content_ticket or ticket}
                self.put(ctx, "contents", found)
            elif opcode == Opcode.SEAL:
                self.put(ctx, "first_blocks", block)
            ctx.set(dut.checked_tags.payload, {"tag": tag, "ticket": tag_ticket})
            ctx.set(dut.checked_tags.valid, 1)
            await ctx.tick().repeat(2)
            assert ctx.get(dut.pending.ready)
            assert ctx.get(dut.checked_tags.ready)
        await ctx.tick().until(dut.pending.ready)
        ctx.set(dut.pending.valid, 0)
        ctx.set(dut.checked_tags.valid, 0)
        differs = tag_ticket != ticket or content_ticket is not None
        self.expect(request, tag, block, differs, content)

    def put(self, ctx, name, value):
        queue = self.waiting[name]
        queue.append(value)
        ctx.set(getattr(self.dut, name).payload, queue[0])

    def expect(self, request, tag, block, forged, content):
        opcode, text_bytes = request["echo"]["opcode"], request["text_bytes"]
        seals = request["tagged"] and opcode in (Opcode.SEAL, Opcode.AEAD_SEAL)
        if seals:
            self.sealed.append((tag, request["ticket"]))
        if seals and opcode == Opcode.SEAL:
            self.samples.append((block | tag << 8 * text_bytes) & ((1 << 128) - 1))
        status = self.model.judge(request, forged, content)
        # A record that was refused before has no content.
        refused = opcode == Opcode.OPEN and not request["tagged"]
        length = None if refused else content if opcode == Opcode.OPEN else text_bytes
        ticket = request["ticket"]
        ticket = ticket if status == Status.OK else void(ticket)
        self.expected.append((request["echo"]["request_id"], status, length, ticket))


@pytest.mark.parametrize(("window", "limit"), [(64, 9), (33, 1 << 36), (2, 3), (100, 1 << 36)])
@pytest.mark.parametrize("wait", [0.0, 0.4])
@pytest.mark.parametrize("apart", [3, Verdict.APART])
def test_verdicts(window, limit, wait, apart):
    source = random.Random(f"{window} {wait}")
    profile = replace(FAST, slots=SLOTS, window=window, forgery_limit=limit)
    bench = Bench(profile, source, apart)

    async def work(ctx):
        for _ in range(4):
            await bench.load(ctx)
            for _ in range(150):
                await bench.judge(ctx, random_request(source, bench.model))
                while source.random() < wait:
                    await ctx.tick()
        await ctx.tick().repeat(20)

    simulate(bench.dut, work, background=[bench.watch])
    found = [
        (
            one.request.echo.request_id,
            Status(one.request.status),
            one.content_bytes if expected is not None else None,
            as_dict(one.request.ticket),
        )
        for one, (_, _, expected, _) in zip(bench.judged, bench.expected, strict=True)
    ]
    assert found == bench.expected
    assert [(one.block, as_dict(one.ticket)) for one in bench.tags] == bench.sealed
    assert [one.block for one in bench.masks] == bench.samples
    assert not any(bench.waiting.values())
    assert {status for _, status, *_ in found} >= {Status.OK, Status.REPLAYED, Status.TOO_OLD}


@pytest.mark.parametrize("apart", [3, Verdict.APART])
@pytest.mark.parametrize("forgery", [{"forged": True}, {"tag_ticket": ticket_of(9, True)}], ids=str)
def test_a_key_is_at_its_limit_right_behind_the_forgery_that_used_it_up(apart, forgery):
    source = random.Random(apart)
    bench = Bench(replace(FAST, slots=SLOTS, forgery_limit=1), source, apart)

    async def work(ctx):
        await bench.load(ctx)
        opens = random_request(source, bench.model)
        opens["echo"] = {"opcode": Opcode.OPEN, "slot": 1, "request_id": 7}
        forged = opens | {"tagged": True, "status": Status.OK}
        await bench.judge(ctx, forged, **({"forged": False} | forgery))
        await bench.judge(ctx, opens | {"tagged": False, "status": Status.MALFORMED_RECORD})
        await ctx.tick().repeat(20)

    simulate(bench.dut, work, background=[bench.watch])
    assert [one.request.status for one in bench.judged] == [Status.BAD_TAG, Status.KEY_LIMIT]


#: Every ticket that differs in one bit from that of request 5, to open; and some others.
FOREIGN = [
    *({"number": 5 ^ 1 << bit, "opening": 1} for bit in range(7)),
    {"number": 5, "opening": 0},
    ticket_of(4, True),
    ticket_of(6, True),
    void(ticket_of(4, True)),
]


@pytest.mark.parametrize("apart", [3, Verdict.APART])
@pytest.mark.parametrize("opcode", OPENS)
@pytest.mark.parametrize("ticket", FOREIGN, ids=str)
def test_the_tag_of_another_request_is_refused(apart, opcode, ticket):
    """It fails authentication, and what goes on is the tag's ticket, which is out of order."""
    assert judge_sixth(apart, opcode, {"tag_ticket": ticket}) == (Status.BAD_TAG, ticket)


@pytest.mark.parametrize("apart", [3, Verdict.APART])
@pytest.mark.parametrize("ticket", FOREIGN, ids=str)
def test_the_length_of_another_records_content_is_refused(apart, ticket):
    """What goes on is not void, as the ticket of a refusal has to be."""
    found = judge_sixth(apart, Opcode.OPEN, {"content_ticket": ticket})
    assert found == (Status.BAD_TAG, ticket_of(5, True))


@pytest.mark.parametrize("apart", [3, Verdict.APART])
@pytest.mark.parametrize("opcode", OPENS)
def test_what_is_opened_without_a_tag_is_refused(apart, opcode):
    """As if the bit that asks for the tag had turned over."""
    found = judge_sixth(apart, opcode, {}, {"tagged": False})
    assert found == (Status.BAD_TAG, ticket_of(5, True))


def judge_sixth(apart, opcode, tickets, changes=None):
    """Judge a genuine request behind five others: its status and its ticket."""
    source = random.Random(apart)
    bench = Bench(replace(FAST, slots=SLOTS), source, apart)

    async def work(ctx):
        await bench.load(ctx)
        genuine = random_request(source, bench.model)
        number = bench.model.slots[1].next
        genuine |= {"status": Status.OK, "tagged": True, "number": number}
        genuine["echo"] = {"opcode": opcode, "slot": 1, "request_id": 7}
        for _ in range(5):
            untagged = {"tagged": False, "status": Status.MALFORMED_REQUEST}
            await bench.judge(ctx, genuine | untagged, forged=False)
        await bench.judge(ctx, genuine | (changes or {}), forged=False, **tickets)
        await ctx.tick().repeat(20)

    simulate(bench.dut, work, background=[bench.watch])
    last = bench.judged[-1].request
    return last.status, as_dict(last.ticket)
