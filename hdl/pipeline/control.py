"""LOAD, ZEROIZE, INFO and STATS: the requests that need the pipeline empty."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from driver.messages import (
    ALL_SLOTS,
    CONNECTION_ID_BYTES,
    INFO_BYTES,
    LOAD_BYTES,
    Counter,
    HeaderForm,
    Opcode,
    Status,
    Suite,
    Usage,
)
from hdl.aes.core import round_key_address_layout
from hdl.aes.history import History
from hdl.aes.key_schedule import KeySchedule
from hdl.aes.sbox import SBoxForm
from hdl.block import BLOCK_BYTES
from hdl.hash_unit import power_address_layout
from hdl.loader import LoadLayout
from hdl.pipeline.layouts import LENGTH_BITS, NUMBER_BITS, Echo, context_layout
from hdl.profile import Profile
from hdl.registers import reset_less
from hdl.reports import info
from hdl.slots import WORDS_PER_SLOT

__all__ = ["Control"]

_REQUESTS = ("loads", "zeroizes", "informs", "counts")
_STATS_BYTES = 8 * len(Counter)


class Control(wiring.Component):
    """Carries out a request from ``start`` to ``done``, while nothing else is in the pipeline.

    LOAD finds its payload collected from ``staged``; it wipes the slot, expands both keys, has the
    AES core encrypt the zero block into H (SP 800-38D, 7.1, step 1) and the hash unit multiply its
    powers, or derive the rows of its tables. ZEROIZE writes zeros over every word of a slot, or of
    all slots: 32 cycles each. Both end with blocks of zeros through the hash unit, which overwrite
    the products there. INFO and STATS ``append`` a block in 16 cycles. Reset begins with zeros
    through what was collected, which it does not clear, and then a ZEROIZE of all slots: ``ready``
    says that it is over.
    """

    def __init__(self, profile: Profile, hash_unit):
        self._profile = profile
        self._chains, self._powers = hash_unit.chains, hash_unit.powers
        slot = range(profile.slots)
        always = {"always_ready": True}
        super().__init__(
            {
                "start": In(1),
                "echo": In(Echo),
                "done": Out(1),
                #: With ``done``: blocks that were appended.
                "blocks": Out(5),
                "status": Out(4),
                "text_bytes": Out(LENGTH_BITS),
                "ready": Out(1),
                #: The AES core and the hash unit are this component's.
                "takes_over": Out(1, init=1),
                "staged": In(1),
                "staged_piece": In(128),
                #: Forgets what was staged: the LOAD that it belongs to may have been refused.
                "wipe": In(1),
                "encrypt": Out(1),
                "slot": Out(slot),
                "aes256": Out(1),
                "encrypted": In(stream.Signature(128, **always)),
                #: ``encrypt`` is heeded.
                "encrypts": In(1),
                "hashed": Out(stream.Signature(hash_unit.blocks.payload.shape())),
                "digests": In(stream.Signature(128, **always)),
                "write_round_key": Out(1),
                "round_key_address": Out(round_key_address_layout(2 * profile.slots)),
                "round_key": Out(128),
                "write_power": Out(1),
                "power_address": Out(power_address_layout(hash_unit.powers, profile.slots)),
                #: It is to be `DigitGHASH.derived`.
                "derived": Out(1),
                "power": Out(128),
                "write_slot": Out(1),
                "context": Out(context_layout()),
                "next_number": Out(NUMBER_BITS),
                "append": Out(1),
                "appended": Out(128),
                "counter": Out(range(len(Counter))),
                "counter_value": In(64),
            }
        )
        self.round_key = reset_less(self.round_key)
        self.context = reset_less(self.context)
        self.appended = reset_less(self.appended)
        #: The payload of a LOAD while it is worked on, else zero.
        self.staged_load = Signal(LoadLayout)

    def elaborate(self, platform):
        m = Module()
        m.submodules.schedule = schedule = KeySchedule(_combinational(self._profile.sbox))
        load = self.staged_load
        # None of them in the wipe behind reset.
        loads, zeroizes, informs, counts = (Signal(name=name) for name in _REQUESTS)
        aes256 = self.aes256
        status = self.status
        word, last_word = Signal(range(WORDS_PER_SLOT)), Signal()
        # These two clear registers; so they come at once behind reset, which does not.
        reported, forgets = Signal(init=1), Signal(init=1)
        which = word[4]
        last_slot, no_more_slots = Signal.like(self.slot), Signal()
        h, power = Signal(128, reset_less=True), Signal(128, reset_less=True)
        number = Signal(range(self._powers + 1))
        blocks = Signal(5)
        steps, halves, last_block = Signal(4), Signal(2), Signal()
        write_round_key, round_key_address = self._out(m, "write_round_key", "round_key_address")
        write_power, power_address = self._out(m, "write_power", "power_address")
        round_key, write_slot, derived = self._out(m, "round_key", "write_slot", "derived")
        m.d.sync += [
            self.done.eq(0),
            halves.eq(0),
            reported.eq(0),
            # While a slot is wiped, a word a cycle.
            last_word.eq(word == WORDS_PER_SLOT - 2),
            # While a report is given, a block in 16 cycles.
            last_block.eq(blocks == Mux(informs, INFO_BYTES, _STATS_BYTES) // BLOCK_BYTES - 1),
            no_more_slots.eq(self.slot == last_slot),
        ]
        m.d.comb += [
            schedule.keys.payload.word.eq(load.keys[0].word_select(steps[:2], 32)),
            schedule.keys.payload.aes256.eq(aes256),
            # All of these are zero while there is nothing to say.
            round_key.eq(schedule.round_keys.payload.round_key),
            self.power.eq(power),
            self.hashed.payload.block.eq(power),
            self.hashed.payload.power.eq(h),
            self.hashed.payload.final.eq(1),
            self.hashed.payload.last.eq(1),
            power_address.slot.eq(self.slot),
            self.counter.eq(Cat(steps[3], blocks)),
            self.text_bytes.eq(Mux(informs, INFO_BYTES, 0) | Mux(counts, _STATS_BYTES, 0)),
            self.blocks.eq(blocks),
        ]
        self._describe(m)

        if LOAD_BYTES % BLOCK_BYTES != 12:
            raise AssertionError("the payload of LOAD does not end with 12 bytes of a block")
        collected = Signal(8 * 112, reset_less=True)
        piece, shifts = Signal(128, reset_less=True), Signal()
        next_half = Signal()
        # Zeros follow what was collected, until nothing else is there.
        zeros, clears = Signal(range(len(collected) // len(piece) + 1)), Signal()
        m.d.sync += [
            clears.eq(zeros != 0),
            piece.eq(Mux(clears, 0, self.staged_piece)),
            shifts.eq(self.staged | next_half | clears),
            forgets.eq(self.wipe),
        ]
        with m.If(shifts):
            m.d.sync += collected.eq(Cat(collected[128:], piece))
        with m.If(forgets):
            m.d.sync += zeros.eq(len(collected) // len(piece))
        with m.Elif(zeros != 0):
            m.d.sync += zeros.eq(zeros - 1)
        m.d.comb += load.eq(collected[: 8 * LOAD_BYTES])
        # Nothing arrives while zeros do. It is kept beside the hash unit, which is far away.
        arrived, arrives = Signal(128, reset_less=True), Signal(2)
        multiplies, takes_h, takes_power = Signal(), Signal(), Signal()
        takes = History(m, "takes", Cat(takes_h, takes_power), 1, reset_less=False)[1]
        there = History(m, "arrived", arrived, 1)[1]
        m.d.sync += [
            arrives.eq(Mux(zeros == 0, Cat(~multiplies, multiplies), 0)),
            arrived.eq(
                Mux(arrives[0], self.encrypted.payload, 0)
                | Mux(arrives[1], self.digests.payload, 0)
            ),
            takes_h.eq(clears),
            takes_power.eq(clears),
        ]
        with m.If(takes[0]):
            m.d.sync += h.eq(there)
        with m.If(takes[1]):
            m.d.sync += power.eq(there)

        known, valid = self._check(m)
        all_slots = self._profile.slots - 1
        with m.FSM():
            with m.State("reset"):
                m.d.sync += [self.slot.eq(0), last_slot.eq(all_slots), word.eq(0)]
                # Not before all is zero that will be written to the slots.
                with m.If(~forgets & (zeros == 0) & ~clears):
                    m.next = "wipe"
            with m.State("idle"):
                m.d.sync += self.ready.eq(1)
                # What is asked for stands there for some cycles before ``start``.
                opcode = self.echo.opcode
                m.d.sync += [
                    loads.eq(opcode == Opcode.LOAD),
                    zeroizes.eq(opcode == Opcode.ZEROIZE),
                    informs.eq(opcode == Opcode.INFO),
                    counts.eq(opcode == Opcode.STATS),
                ]
                m.d.sync += [word.eq(0), blocks.eq(0), steps.eq(0), number.eq(1)]
                m.d.sync += multiplies.eq(0)
                m.d.sync += [self.slot.eq(self.echo.slot), last_slot.eq(self.echo.slot)]
                m.d.sync += status.eq(Status.OK)
                with m.If(self.start):
                    m.d.sync += self.takes_over.eq(loads | zeroizes)
                    with m.If(loads):
                        m.next = "check"
                    with m.If(zeroizes):
                        m.next = "wipe"
                        with m.If(self.echo.slot == ALL_SLOTS):
                            m.d.sync += [self.slot.eq(0), last_slot.eq(all_slots)]
                    with m.If(informs | counts):
                        m.next = "report"
            with m.State("check"):
                with m.If(~known):
                    m.d.sync += status.eq(Status.UNSUPPORTED_SUITE)
                with m.Elif(~valid):
                    m.d.sync += status.eq(Status.MALFORMED_REQUEST)
                m.next = "checked"
            with m.State("checked"):
                m.d.sync += self.aes256.eq(load.suite == Suite.AES_256_GCM)
                m.next = "forget"
                with m.If(status == Status.OK):
                    m.next = "wipe"
            with m.State("wipe"):
                # For ZEROIZE, all that is written here is zero; so are the keys for LOAD.
                m.d.comb += [
                    write_round_key.eq(1),
                    round_key_address.eq(Cat(word, self.slot)),
                    write_power.eq(1),
                    power_address.power.eq(word),
                    write_slot.eq(word == 0),
                    self.context.valid.eq(loads),
                ]
                m.d.sync += word.eq(word + 1)
                with m.If(last_word):
                    with m.If(loads):
                        m.next = "expand"
                    with m.Elif(no_more_slots):
                        m.next = "forget"
                    with m.Else():
                        m.d.sync += self.slot.eq(self.slot + 1)
            with m.State("expand"):
                keys = schedule.round_keys
                m.d.comb += [
                    schedule.keys.valid.eq(1),
                    keys.ready.eq(1),
                    write_round_key.eq(keys.valid),
                    round_key_address.eq(Cat(keys.payload.round, which, self.slot)),
                    # The next half of a key, perhaps unused, moves to the place of the one before.
                    next_half.eq(keys.valid & (keys.payload.round < 2)),
                ]
                with m.If(schedule.keys.ready):
                    m.d.sync += steps.eq(steps + 1)
                with m.If(keys.valid & (keys.payload.round == Mux(aes256, 14, 10))):
                    m.d.sync += word[4].eq(1)
                    with m.If(which):
                        m.next = "encrypt"
            with m.State("encrypt"):
                m.d.comb += self.encrypt.eq(1)
                with m.If(self.encrypts):
                    m.next = "encrypting"
            with m.State("encrypting"):
                with m.If(self.encrypted.valid):
                    m.d.sync += [takes_h.eq(1), takes_power.eq(1)]
                    m.next = "arrived"
            with m.State("arrived"):
                m.next = "there"
            with m.State("there"):
                m.d.sync += multiplies.eq(1)
                m.next = "power"
            if self._chains == 1:
                with m.State("power"):
                    # Row by row: each is derived from one that was read two cycles before.
                    m.d.comb += [
                        derived.eq(1),
                        power_address.power.eq(number),
                        write_power.eq(steps[:2] == 2),
                    ]
                    m.d.sync += steps.eq(steps + 1)
                    with m.If(steps[:2] == 3):
                        m.d.sync += number.eq(number + 1)
                        with m.If(number == self._powers - 1):
                            m.next = "forget"
            else:
                with m.State("power"):
                    last = number == self._powers
                    m.d.comb += [
                        write_power.eq(1),
                        power_address.power.eq(number - 1),
                        self.hashed.valid.eq(~last),
                    ]
                    with m.If(last):
                        m.next = "forget"
                    with m.Elif(self.hashed.ready):
                        m.next = "multiplying"
                with m.State("multiplying"):
                    with m.If(self.digests.valid):
                        m.d.sync += [takes_power.eq(1), number.eq(number + 1)]
                        m.next = "arrived"
            with m.State("forget"):
                m.d.sync += [forgets.eq(1), number.eq(0), self.aes256.eq(0)]
                m.next = "forgotten"
            with m.State("forgotten"):
                with m.If(~forgets & (zeros == 0)):
                    m.next = "scrub"
            with m.State("scrub"):
                m.d.comb += self.hashed.valid.eq(number < self._chains)
                with m.If(self.hashed.valid & self.hashed.ready):
                    m.d.sync += number.eq(number + 1)
                with m.If(self.digests.valid):
                    m.d.sync += blocks.eq(blocks + 1)
                with m.If(blocks == self._chains):
                    m.d.sync += [blocks.eq(0), self.takes_over.eq(0)]
                    m.next = "done"
            # Masks of records that wait behind the request may be on their way through the cores.
            with m.State("report"):
                m.d.sync += steps.eq(steps + 1)
                m.d.sync += halves.eq(Cat(steps == 6, steps == 14))
                with m.If(halves[1]):
                    m.d.sync += blocks.eq(blocks + 1)
                    with m.If(last_block):
                        m.next = "done"
            with m.State("done"):
                # Not behind the wipe after reset.
                m.d.sync += [self.done.eq(loads | zeroizes | informs | counts), reported.eq(1)]
                m.next = "idle"
        self._report(m, informs, halves, reported)
        return m

    def _out(self, m, *names):
        """What goes to the ports of these names in the next cycle."""
        for name in names:
            port = getattr(self, name)
            given = Signal.like(port, name=f"next_{name}")
            m.d.sync += port.eq(given)
            yield given

    def _report(self, m, informs, halves, reported):
        """A block of INFO or STATS: two words, the first one in the low half.

        Counters are big-endian. Those of INFO are chosen in the same way as a counter.
        """
        words = Const(int.from_bytes(info(self._profile).pack(), "little"), 8 * INFO_BYTES)
        number = self.counter[: (INFO_BYTES // 8 - 1).bit_length()]
        swapped = Cat(self.counter_value.word_select(i, 8) for i in reversed(range(8)))
        word = Mux(informs, words.word_select(number, 64), swapped)
        m.d.sync += self.append.eq(halves[1])
        for i in range(2):
            with m.If(halves[i]):
                m.d.sync += self.appended.word_select(i, 64).eq(word)
        with m.If(reported):
            m.d.sync += self.appended.eq(0)

    def _check(self, m):
        """Whether the suite is known, and the rest valid: registers, since it came long before."""
        load, known, valid = self.staged_load, Signal(), Signal()
        m.d.sync += [
            known.eq((load.suite == Suite.AES_128_GCM) | (load.suite == Suite.AES_256_GCM)),
            valid.eq(
                (load.usage >= min(Usage))
                & (load.usage <= max(Usage))
                & ((load.form & ~sum(HeaderForm)) == 0)
                & (load.connection_id_bytes <= CONNECTION_ID_BYTES)
            ),
        ]
        return known, valid

    def _describe(self, m):
        load, context = self.staged_load, self.context
        m.d.comb += [
            context.aes256.eq(self.aes256),
            context.usage.eq(load.usage),
            context.length.eq((load.form & HeaderForm.LENGTH) != 0),
            context.sixteen.eq((load.form & HeaderForm.SEQUENCE_NUMBER_16) != 0),
            context.connection_id_bytes.eq(load.connection_id_bytes),
            context.epoch.eq(_integer(load.epoch)),
            context.iv.eq(load.iv),
            self.next_number.eq(_integer(load.sequence_number)),
        ]
        for i in range(CONNECTION_ID_BYTES):
            byte = context.connection_id.word_select(i, 8)
            m.d.sync += byte.eq(load.connection_id.word_select(i, 8))
            with m.If(load.connection_id_bytes <= i):
                m.d.sync += byte.eq(0)


def _combinational(form: SBoxForm) -> SBoxForm:
    """The S-box of the key schedule: block RAM is for those of the rounds."""
    return SBoxForm.COMPOSITE if form is SBoxForm.BLOCK_RAM else form


def _integer(array):
    """The integer that a big-endian array of bytes stands for."""
    return Cat(*(array[i] for i in reversed(range(len(array)))))
