"""The pipelined accelerator: request packets in, 16 bytes a beat, completion packets out."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from driver.messages import Opcode
from hdl.aes.history import History
from hdl.aes.pipelined import PipelinedAES
from hdl.aes.ring import RingAES
from hdl.block import BLOCK_BYTES
from hdl.ghash_digit import DigitGHASH
from hdl.ghash_parallel import ParallelGHASH
from hdl.packet_stream import packet_signature
from hdl.pipeline.cipher import Cipher
from hdl.pipeline.control import Control
from hdl.pipeline.counters import Counters
from hdl.pipeline.egress import Egress
from hdl.pipeline.ingress import Ingress
from hdl.pipeline.layouts import Ticketed
from hdl.pipeline.lookup import Lookup
from hdl.pipeline.numbering import Numbering
from hdl.pipeline.queue import BlockQueue, Places, Queue
from hdl.pipeline.scheduler import Scheduler
from hdl.pipeline.tag import CheckedTag, Tag
from hdl.pipeline.verdict import Verdict
from hdl.profile import AESCore, Profile

__all__ = ["DEPTHS", "Depths", "PipelinedAccelerator"]


class Depths(NamedTuple):
    """How many requests may be in each part of the pipeline, and the ways between.

    Queues have no ready: their writers rely on these numbers.
    """

    #: Between the ports and the scheduler: enough for the masks of those to open to arrive.
    waiting: int
    #: Between the scheduler and the verdict. Messages begin at least 3 cycles apart there, and a
    #: verdict comes a fixed time after a message's last slot, 80 cycles or so: fewer are ever under
    #: way.
    judging: int
    #: Between the scheduler and the end of the completion: sealing takes the way through the AES
    #: core twice, and masks may wait for one another.
    in_flight: int
    #: How much longer the queue of blocks that wait for their completion is than that of those
    #: that wait for AES: a record that was sealed waits there for the slot behind the next one.
    release: int
    #: Slots in the AES core, and behind it.
    slots: int
    #: Registers on the way from one part to another, which may lie a chip's width apart.
    hops: int


#: By core: a block a cycle, for 45 cycles and the ways there and back; or three blocks that take
#: tens of cycles.
DEPTHS = {
    AESCore.PIPELINED: Depths(waiting=45, judging=31, in_flight=87, release=2, slots=64, hops=2),
    AESCore.RING: Depths(waiting=8, judging=8, in_flight=8, release=1, slots=16, hops=0),
}


class PipelinedAccelerator(wiring.Component):
    """Carries out the requests of `driver.messages`, many of them at once.

    A record of n blocks takes n + 2 cycles, whatever came before it and whatever follows, as long
    as the packets come and go as fast. Without ``encrypt_numbers``, record numbers go in clear,
    which is not DTLS: it shows what their encryption costs.
    """

    def __init__(self, profile: Profile, encrypt_numbers: bool = True):
        self._profile = profile
        self._encrypt_numbers = encrypt_numbers
        super().__init__(
            {
                "requests": In(packet_signature(BLOCK_BYTES)),
                "completions": Out(packet_signature(profile.completion_bytes)),
            }
        )
        self._depths = DEPTHS[profile.aes]
        depth = profile.queue_blocks
        release_depth = depth * self._depths.release
        self.lookup = Lookup(profile)
        self.numbering = Numbering(profile)
        digit = profile.ghash_digit
        self.ghash = ParallelGHASH() if digit == 128 else DigitGHASH(digit, profile.slots)
        self.scheduler = Scheduler(
            profile, release_depth, self._depths.in_flight, self.ghash.chains, self.ghash.interval
        )
        keys = 2 * profile.slots
        if profile.aes is AESCore.PIPELINED:
            self.aes = PipelinedAES(keys, profile.sbox)
        else:
            self.aes = RingAES(keys, profile.sbox, self.scheduler.pace)
        self.cipher = Cipher(profile, self.ghash, release_depth)
        self.tag = Tag()
        # A message has two slots or more.
        self.verdict = Verdict(profile, 2 * self.scheduler.pace)
        # With 10 cycles a block or more, hardly anything waits for another.
        self._relaxed = 2 * self.scheduler.pace >= Verdict.APART
        self.ingress = Ingress(profile, depth, 4 if self._relaxed else BLOCK_BYTES)
        hops = self._depths.hops
        self.received = BlockQueue(depth, self._relaxed, hops)
        self.released = BlockQueue(release_depth, self._relaxed, hops, Ticketed)
        self.egress = Egress(release_depth, profile.completion_bytes)
        self.control = Control(profile, self.ghash)
        self.counters = Counters()

    def elaborate(self, platform):
        m = Module()
        for name in (
            "lookup", "ingress", "received", "numbering", "scheduler", "aes", "ghash", "cipher",
            "tag", "verdict", "released", "egress", "control", "counters",
        ):  # fmt: skip
            m.submodules[name] = getattr(self, name)

        wiring.connect(m, self.lookup.front, self.ingress.front)
        wiring.connect(m, self.egress.packets, wiring.flipped(self.completions))
        wiring.connect(m, wiring.flipped(self.requests), self.lookup.packets)
        self._connect_requests(m)
        self._connect_cores(m)
        self._connect_results(m)
        self._connect_slots(m)
        self._connect_counters(m)
        return m

    def _queue(self, m, name, source, sink, depth):
        """A queue between an output that is never held and an input."""
        queue = Queue(source.payload.shape(), depth)
        return self._between(m, name, source, sink, queue)

    def _wide_queue(self, m, name, source, sink, places):
        """The same for blocks."""
        queue = self._wide(source.payload.shape(), places)
        return self._between(m, name, source, sink, queue)

    def _wide(self, shape, places, depth=16):
        """A queue that always has room: few places are enough if nothing comes in a hurry."""
        return Places(shape, places) if self._relaxed else Queue(shape, depth)

    def _between(self, m, name, source, sink, queue):
        m.submodules[name] = queue
        self._send(m, name, source.valid, source.payload, queue.write)
        wiring.connect(m, queue.read, sink)
        return queue

    def _send(self, m, name, valid, payload, sink, least=0):
        """To where nothing is ever held."""
        m.d.comb += [
            sink.valid.eq(self._hop(m, f"{name}_valid", valid, reset_less=False, least=least)),
            sink.payload.eq(self._hop(m, name, payload, least=least)),
        ]

    def _hop(self, m, name, value, reset_less=True, least=0):
        """The value, as it arrives at another part: over ``least`` registers or more."""
        hops = max(self._depths.hops, least)
        return History(m, f"{name}_way", Value.cast(value), hops, reset_less)[hops]

    def _connect_requests(self, m):
        ingress, received = self.ingress, self.received
        requests = self._queue(
            m, "requests_queue", ingress.requests, self.numbering.requests, self._depths.waiting
        )
        self._connect_masks(m)
        wiring.connect(m, self.numbering.numbered, self.scheduler.requests)
        m.d.comb += [
            ingress.requests_room.eq(self._room(requests)),
            ingress.block_read.eq(received.read),
            received.write.eq(self._hop(m, "received", ingress.write, reset_less=False)),
            received.address.eq(self._hop(m, "received_address", ingress.block_address)),
            received.data.eq(self._hop(m, "received_data", ingress.block)),
            received.release.eq(
                self._hop(m, "received_release", ingress.release, reset_less=False)
            ),
        ]
        wiring.connect(m, received.blocks, self.cipher.blocks)

    def _room(self, queue):
        """Whether the two packets that `Ingress` may have begun fit, beside what is on its way."""
        return queue.level < queue.depth - 2 - self._depths.hops

    def _connect_masks(self, m):
        """Encryption of record numbers: blocks to the scheduler, and masks back from the cipher."""
        ingress, cipher, scheduler = self.ingress, self.cipher, self.scheduler
        if not self._encrypt_numbers:
            m.d.comb += [
                ingress.masks_room.eq(1),
                self.numbering.masks.valid.eq(1),
                self.egress.masks.valid.eq(1),
            ]
            return
        used = self.numbering.masks
        m.d.comb += scheduler.mask_used.eq(used.valid & used.ready)
        wanted = self._queue(m, "opening_queue", ingress.masks, scheduler.opening_masks, 16)
        m.d.comb += ingress.masks_room.eq(self._room(wanted))
        # As many as there are requests on the way: in the queue, in `ingress` and in `numbering`.
        self._queue(
            m, "opening_masks", cipher.opening_masks, self.numbering.masks, 2 * self._depths.waiting
        )
        made = self._queue(
            m, "sealing_queue", self.verdict.masks, scheduler.sealing_masks, self._depths.in_flight
        )
        m.d.comb += [
            scheduler.more_opening_masks.eq(wanted.more),
            scheduler.more_sealing_masks.eq(made.more),
        ]
        self._queue(
            m, "sealing_masks", cipher.sealing_masks, self.egress.masks, self._depths.in_flight
        )

    def _connect_cores(self, m):
        """To the scheduler, or to control, which takes over long before it uses them."""
        scheduler, control, aes, ghash = self.scheduler, self.control, self.aes, self.ghash
        cipher, hashed = self.cipher, ghash.blocks.signature.flip().create()
        takes_aes, takes_ghash = Signal(init=1), Signal(init=1)
        m.d.sync += [takes_aes.eq(control.takes_over), takes_ghash.eq(takes_aes)]
        requests = scheduler.blocks.signature.create()
        m.d.comb += [
            requests.valid.eq(scheduler.blocks.valid),
            requests.payload.eq(scheduler.blocks.payload),
            scheduler.blocks.ready.eq(requests.ready),
            control.encrypts.eq(requests.ready),
            # Once what is on its way has been taken.
            control.hashed.ready.eq(ghash.blocks.ready & ~ghash.blocks.valid),
            hashed.valid.eq(cipher.hashed.valid),
            hashed.payload.eq(cipher.hashed.payload),
            aes.write.eq(control.write_round_key),
            aes.write_address.eq(control.round_key_address),
            aes.write_data.eq(control.round_key),
        ]
        with m.If(takes_aes):
            m.d.comb += [
                requests.valid.eq(control.encrypt),
                requests.payload.block.eq(0),
                requests.payload.key.eq(Cat(0, control.slot)),
                requests.payload.aes256.eq(control.aes256),
            ]
        with m.If(takes_ghash):
            m.d.comb += hashed.valid.eq(control.hashed.valid & control.hashed.ready)
            if ghash.chains > 1:
                m.d.comb += hashed.payload.eq(control.hashed.payload)
            else:
                # Control has no products to ask for, but ends with a block of zeros: that is what
                # the cipher gives while it has none, and its power stands in a slot or is wiped.
                m.d.comb += hashed.payload.last.eq(1)
        if self._relaxed:
            # A cycle to get there; it is valid until it is taken.
            there = Signal()
            m.d.sync += [
                there.eq(requests.valid & ~requests.ready),
                aes.requests.payload.eq(requests.payload),
            ]
            m.d.comb += [
                aes.requests.valid.eq(there),
                requests.ready.eq(there & aes.requests.ready),
            ]
        else:
            self._send(m, "requests", requests.valid, requests.payload, aes.requests)
            m.d.comb += requests.ready.eq(aes.requests.ready)
        self._send(m, "hashed", hashed.valid, hashed.payload, ghash.blocks, least=1)
        for name, source, taken, control_sink, sink in (
            ("results", aes.results, takes_aes, control.encrypted, cipher.results),
            ("digests", ghash.digests, takes_ghash, control.digests, self.tag.digests),
        ):
            self._send(m, name, source.valid & ~taken, source.payload, sink)
            valid = self._hop(m, f"control_{name}", source.valid & taken, reset_less=False)
            m.d.comb += [control_sink.valid.eq(valid), control_sink.payload.eq(sink.payload)]
        self._queue(m, "slots_queue", scheduler.slots, cipher.slots, self._depths.slots)
        self._queue(m, "messages_queue", scheduler.messages, cipher.messages, self._depths.judging)

    def _connect_results(self, m):
        cipher, verdict, egress, released = self.cipher, self.verdict, self.egress, self.released
        tag = self.tag
        self._queue(m, "pending", self.scheduler.pending, verdict.pending, self._depths.judging)
        # Requests without a tag may be in front of the verdict when a digest comes.
        checked_tags = self._wide(CheckedTag, 1, self._depths.judging)
        self._between(m, "checked_tags", tag.tags, verdict.checked_tags, checked_tags)
        self._queue(m, "contents", cipher.contents, verdict.contents, 16)
        # Of a message and the next one, whose first slots come before the digest.
        for name, sink in (("tag_keys", tag), ("received_tags", tag), ("first_blocks", verdict)):
            self._wide_queue(m, name, getattr(cipher, name), getattr(sink, name), 2)
        self._queue(m, "judged", verdict.judged, egress.judged, self._depths.in_flight)

        # A tag goes to its place in a cycle in which no text is written.
        m.submodules.tags = tags = self._wide(Ticketed, 1)
        m.submodules.tag_places = places = Queue(cipher.tag_places.payload.shape(), 16)
        self._send(m, "tags", verdict.tags.valid, verdict.tags.payload, tags.write)
        write, goes = Signal(), Signal()
        address, text = Signal.like(cipher.address), Signal(Ticketed)
        m.d.comb += [
            places.write.valid.eq(cipher.tag_places.valid),
            places.write.payload.eq(cipher.tag_places.payload),
            tags.read.ready.eq(cipher.idle),
            goes.eq(tags.read.valid & cipher.idle),
            places.read.ready.eq(goes),
            write.eq(cipher.write | tags.read.valid),
            address.eq(Mux(cipher.write, cipher.address, places.read.payload)),
            text.eq(Mux(cipher.write, cipher.data, tags.read.payload)),
            egress.tag_written.eq(self._hop(m, "tag_written", goes, reset_less=False)),
            released.write.eq(self._hop(m, "released", write, reset_less=False)),
            released.address.eq(self._hop(m, "released_address", address)),
            released.data.eq(self._hop(m, "released_data", text)),
            released.release.eq(egress.release),
            self.scheduler.left.eq(egress.left),
            self.scheduler.block_left.eq(released.read),
        ]
        wiring.connect(m, released.blocks, egress.blocks)

    def _connect_slots(self, m):
        control, verdict, numbering, cipher = (
            self.control, self.verdict, self.numbering, self.cipher,
        )  # fmt: skip
        scheduler = self.scheduler
        m.d.comb += [
            control.staged.eq(self.ingress.staged),
            control.staged_piece.eq(self.ingress.staged_piece),
            self.lookup.write.eq(control.write_slot),
            self.lookup.write_slot.eq(control.slot),
            self.lookup.write_context.eq(control.context),
            numbering.load.eq(control.write_slot),
            numbering.load_slot.eq(control.slot),
            numbering.load_next.eq(control.next_number),
            verdict.load.eq(control.write_slot),
            verdict.load_slot.eq(control.slot),
            verdict.load_next.eq(control.next_number),
        ]
        m.d.sync += [
            numbering.open.eq(verdict.open),
            numbering.open_slot.eq(verdict.open_slot),
            numbering.open_next.eq(verdict.open_next),
            control.start.eq(scheduler.control),
            control.echo.eq(scheduler.control_echo),
            scheduler.control_done.eq(control.done),
            scheduler.control_status.eq(control.status),
            scheduler.control_blocks.eq(control.blocks),
            scheduler.control_text_bytes.eq(control.text_bytes),
        ]
        self._connect_powers(m)
        m.d.sync += cipher.append.eq(control.append)
        m.d.comb += [
            cipher.appended.block.eq(History(m, "appended", control.appended, 1)[1]),
            cipher.appended.ticket.eq(scheduler.ticket),
        ]
        changed = verdict.judged.payload.request.echo.opcode.matches(Opcode.LOAD, Opcode.ZEROIZE)
        # Far apart, and what is let in takes longer to reach what is wiped. Behind reset, nothing
        # is let in before all slots are wiped.
        unfence, wipe, was_ready = Signal(), Signal(), Signal()
        m.d.sync += [
            unfence.eq((verdict.judged.valid & changed) | (control.ready & ~was_ready)),
            wipe.eq(unfence),
            was_ready.eq(control.ready),
        ]
        m.d.comb += [
            self.lookup.unfence.eq(unfence),
            self.ingress.wipe.eq(wipe),
            self.control.wipe.eq(wipe),
        ]

    def _connect_powers(self, m):
        """Of H: to the cipher, or to the tables of a hash unit that keeps them."""
        control, cipher, ghash = self.control, self.cipher, self.ghash
        if ghash.chains == 1:
            m.d.comb += [
                ghash.write.eq(control.write_power),
                ghash.address.eq(control.power_address),
                ghash.h.eq(control.power),
                ghash.derived.eq(control.derived),
            ]
        else:
            m.d.sync += [
                cipher.write_power.eq(control.write_power),
                cipher.power_address.eq(control.power_address),
                cipher.power.eq(control.power),
            ]

    def _connect_counters(self, m):
        counters, verdict = self.counters, self.verdict
        busy = Cat(
            self.scheduler.busy,
            self.ingress.busy,
            self.ingress.requests.valid,
            self.numbering.requests.valid,
            self.numbering.busy,
            self.control.takes_over,
        )
        # From far apart, so they count two cycles later.
        cycles = Cat(self.lookup.starved, self.egress.stalled, busy)
        cycles = History(m, "counted", cycles, 1, reset_less=False)[1]
        m.d.sync += [
            Cat(counters.starved, counters.stalled).eq(cycles),
            counters.busy.eq(cycles[2:].any()),
        ]
        m.d.comb += [
            counters.add_one.eq(verdict.count),
            counters.one.eq(verdict.counter),
            counters.add.eq(verdict.count_bytes),
            counters.index.eq(verdict.bytes_counter),
            counters.amount.eq(verdict.amount),
            counters.read.eq(self.control.counter),
            self.control.counter_value.eq(counters.value),
        ]
