"""ZEROIZE leaves nothing of a key: neither in the memories of its slot nor in registers."""

import random
from abc import abstractmethod

from amaranth.hdl import Cat, Const, Module

from driver.messages import ALL_SLOTS, LOAD_BYTES, Opcode, Suite, Usage
from hdl.pipeline.control import Control
from hdl.profile import COMPACT, FAST, TINY, Profile
from hdl.serial_accelerator import SerialAccelerator
from proofs.erasure import Erasing, Erasure
from proofs.hash_units import hash_unit
from proofs.independence import Stimulus
from proofs.opened import Opened
from proofs.property import Mutant, Property
from proofs.serial_timing import SMALL
from proofs.streams import SMALL_RING

__all__ = ["PROPERTIES"]


#: Registers of `Control`: LOAD's payload, H, and the power of it at hand.
_SECRETS = ("collected", "h", "power")
#: In which LOAD's payload comes.
_LOAD_PIECES = 7


class _Control(Erasing):
    """`Control` of the pipelined engine, which is idle and gets a request."""

    def __init__(self, profile, opcode: Opcode):
        super().__init__()
        self._profile, self._opcode = profile, opcode

    def describe(self, m: Module) -> None:
        profile = self._profile
        m.submodules.control = block = Opened(Control(profile, hash_unit(profile)))
        for name in ("start", "staged", "wipe", "encrypts"):
            m.d.comb += getattr(block, name).eq(self.shared(name))
        for name in ("encrypted", "digests"):
            port = getattr(block, name)
            m.d.comb += [
                port.valid.eq(self.shared(f"{name}_valid")),
                port.payload.eq(self.shared(name, 128)),
            ]
        m.d.comb += [
            block.echo.opcode.eq(self.shared("opcode", 8)),
            block.staged_piece.eq(self.shared("staged_piece", 128)),
            block.hashed.ready.eq(self.shared("hashed_ready")),
            block.counter_value.eq(self.shared("counter_value", 64)),
        ]
        fsm = block._module._generated["fsm"]
        for name in ("zeros", "clears", "shifts", "forgets", "takes_h", "takes_power"):
            self.begins(m, name, block[name], 0)
        self.begins(m, "state", fsm.state, fsm.encoding["idle"])
        self.ends(m, block.done)
        # They take what the cores give, and what comes in, in every cycle.
        for name in ("arrived", "piece"):
            self.remains(m, name, block[name])
        self.may_remain = ("arrived_history",)
        for name in _SECRETS:
            self.erased(m, name, block[name])
        self.describe_run(m, block)

    @abstractmethod
    def describe_run(self, m: Module, block) -> None:
        """What is erased."""

    def given(self, cycle):
        return {
            "start": cycle == 1,
            "opcode": self._opcode,
            **dict.fromkeys(("staged", "wipe"), 0),
            **dict.fromkeys(("encrypts", "encrypted_valid", "hashed_ready", "digests_valid"), 1),
        }

    def stimulus(self) -> Stimulus:
        return _ControlStimulus(self._opcode)


class _Load(_Control):
    """It gets LOAD, in any state otherwise; the key schedule is between two keys."""

    def __init__(self, profile, suite: int):
        super().__init__(profile, Opcode.LOAD)
        self._suite = suite
        parts = ("fsm_state", "count", "round_keys__payload.round")
        schedule = [f"schedule.{part}" for part in parts] if suite else ["schedule."]
        self.at_reset = ("takes_history", *schedule)

    def describe_run(self, m, block):
        m.d.comb += block.echo.slot.eq(self.steady("slot", len(block.slot)))
        # Suite, usage, form and the length of the connection ID: its first four bytes.
        fields = int.from_bytes(bytes([self._suite, Usage.SEAL, 0, 0]), "little")
        self.begins(m, "fields", block["collected"][:32], fields)


class _Zeroize(_Control):
    """It gets ZEROIZE, of one slot or of all; registers have no key, which is what LOAD left."""

    at_reset = ("schedule.", "takes_history")

    def __init__(self, profile, every: bool):
        super().__init__(profile, Opcode.ZEROIZE)
        self._every = every

    def describe_run(self, m, block):
        slot = Const(0, 1) if self._every else self.steady("slot", len(block.slot))
        m.d.comb += block.echo.slot.eq(ALL_SLOTS if self._every else slot)
        self.erased_slot(m, slot)
        for name in _SECRETS:
            self.begins(m, name, block[name], 0)
        key, power = block.round_key_address, block.power_address
        none = Const(0, 0)
        fields = Cat(block.context, block.next_number)
        round_ = Cat(key.round, key.key[0])
        self._words(m, "round_keys", block.write_round_key, round_, key.key[1:], block.round_key)
        self._words(m, "powers", block.write_power, power.power, power.slot, block.power)
        self._words(m, "slots", block.write_slot, none, block.slot, fields)

    def _words(self, m, name, enable, word, slot, data):
        if self._every:
            word, slot = Cat(word, slot), Const(0, 1)
        self.words(m, name, enable, word, slot, data)


class _ControlStimulus(Stimulus):
    """LOAD of a random key into slot 1, and ZEROIZE long after it is done."""

    #: Cycles in which things begin: a small `Control` takes fewer from one to the next.
    STAGED, LOAD, ZEROIZE = 200, 220, 1500

    def __init__(self, opcode: Opcode):
        self._last = {Opcode.LOAD: self.LOAD, Opcode.ZEROIZE: self.ZEROIZE}[opcode]
        self._cycle = -1
        self._source = random.Random(1)

    def inputs(self):
        self._cycle += 1
        cycle, staged = self._cycle, self._cycle - self.STAGED
        fields = int.from_bytes(bytes([Suite.AES_256_GCM, Usage.SEAL, 0, 0]), "little")
        piece = self._source.getrandbits(128)
        return {
            "zero": 0,
            "slot": 1,
            "start": cycle in (self.LOAD, self.ZEROIZE),
            "opcode": Opcode.LOAD if cycle <= self.LOAD + 1 else Opcode.ZEROIZE,
            "staged": 0 <= staged < _LOAD_PIECES,
            "staged_piece": piece & ~0xFFFFFFFF | fields if staged == 0 else piece,
            "wipe": 0,
            **dict.fromkeys(("encrypts", "encrypted_valid", "hashed_ready", "digests_valid"), 1),
        }

    def outputs(self, equal):
        return not (self._cycle > self._last and equal["ends_run"])


class _Serial(Erasing):
    """The serial engine, whose request is LOAD or ZEROIZE and has been read; all else is anything.

    No record is worked on, and the AES core has nothing to do.
    """

    clean = ("device.loader.", "device.aes.")
    #: Public fields of the last LOAD; what the core works on next; and what a memory gives.
    may_remain = (
        *("_connection_id_bytes", "_epoch", "_form", "_usage"),
        *("aes.aes256", "aes.key", "aes.step", "aes.number", "aes.round_key"),
    )

    def __init__(self, profile, opcode: Opcode, every: bool = False, suite: int = 0):
        super().__init__()
        self._profile, self._opcode, self._every, self._suite = profile, opcode, every, suite

    def describe(self, m: Module) -> None:
        device = SerialAccelerator(self._profile)
        engine = device._engine
        engine._gcm = gcm = Opened(engine._gcm)
        device._engine = engine = Opened(engine)
        device._loader = loader = Opened(device._loader)
        device._reader = reader = Opened(device._reader)
        device._aes = aes = Opened(device._aes)
        m.submodules.device = device = Opened(device)
        m.d.comb += [
            device.requests.valid.eq(self.shared("valid")),
            device.requests.payload.eq(self.shared("payload", 9)),
            device.completions.ready.eq(self.shared("ready")),
        ]
        for block, state in (
            (device, "finish"), (loader, "idle"), (engine, "idle"), (reader, "SURPLUS"),
            (aes, "idle"),
        ):  # fmt: skip
            fsm = block._module._generated["fsm"]
            self.begins(m, f"state_{len(self.begins_at)}", fsm.state, fsm.encoding[state])
        header = reader["header"]
        self.begins(m, "opcode", header[56:], self._opcode)
        slot_bits = len(device._slots.write_slot)
        if self._every:
            self.begins(m, "slot", header[32:48], ALL_SLOTS)
        else:
            self.steady_register(m, "slot", header[32 : 32 + slot_bits])
            self.begins(m, "no_slot", header[32 + slot_bits : 48], 0)
        self.begins(m, "gcm", gcm["requesting"], 0)
        self.begins(m, "started", device._started, 1)
        for name in ("ended", "well_formed"):
            self.begins(m, name, reader[name], 1)
        for name in ("state", "mixed"):
            self.begins(m, name, aes[name], 0)
        self.begins(m, "suite_known", loader._suite_known, 1)
        self.begins(m, "fields_valid", loader._fields_valid, 1)
        self.begins(m, "aes256", loader._aes256, self._suite == Suite.AES_256_GCM)
        for name in ("_second", "_which", "_byte", "_round"):
            self.begins(m, name, getattr(loader, name), 0)
        self.ends(m, device.ongoing("complete"))
        for block, name in ((loader, "word"), (loader, "first"), (aes, "state"), (aes, "mixed")):
            self.erased(m, name, block[name])
        self.equal(m, "ready", device.requests.ready)
        self._describe_words(m, device._slots, header[32 : 32 + slot_bits])

    def _describe_words(self, m, slots, slot):
        erased = Const(0, 1) if self._every else slot
        self.erased_slot(m, erased)
        place = slots.write_string_address
        staged, string = place[-1], slots.write_string
        self.words(m, "staged", string & staged, place[:7], erased, slots.new_string)
        if self._opcode is not Opcode.ZEROIZE:
            return

        def words(name, enable, word, at, data):
            if self._every:
                word, at = Cat(word, at), erased
            self.words(m, name, enable, word, at, data)

        key, none, at = slots.write_address.key, Const(0, 0), slots.write_slot
        round_ = Cat(slots.write_address.round, key[0])
        words("round_keys", slots.write_mask, round_, key[1:], slots.write_byte)
        words("contexts", slots.write_context, none, at, slots.new_context)
        words("states", slots.write_state, none, at, slots.new_state)
        words("h", slots.write_h, none, at, slots.new_h)
        words("strings", string & ~staged, place[:5], place[5 : 5 + len(at)], slots.new_string)

    def given(self, cycle):
        return {}

    def stimulus(self) -> Stimulus:
        return _SerialStimulus(self._opcode)


class _SerialStimulus(Stimulus):
    """LOAD of a random key into slot 1, and ZEROIZE behind it, a byte at a time."""

    def __init__(self, opcode: Opcode):
        source = random.Random(1)
        load = bytes([Suite.AES_256_GCM, Usage.SEAL, 0, 0]) + source.randbytes(LOAD_BYTES - 4)
        packets = [bytes([Opcode.LOAD, 0, 0, 1, 0, 0, 0, len(load)]) + load]
        if opcode is Opcode.ZEROIZE:
            packets.append(bytes([Opcode.ZEROIZE, 0, 0, 1, 0, 0, 0, 0]))
        self._bytes = [
            byte | (i == len(packet) - 1) << 8
            for packet in packets
            for i, byte in enumerate(packet)
        ]
        self._completions = len(packets)
        self._ending = 0

    def inputs(self):
        given = {"zero": 0, "ready": 1, "valid": bool(self._bytes)}
        return given | ({"payload": self._bytes[0]} if self._bytes else {})

    def outputs(self, equal):
        if self._bytes and equal["equal_ready"]:
            self._bytes.pop(0)
        begins = equal["ends_run"] and not self._ending
        self._ending = equal["ends_run"]
        self._completions -= bool(begins)
        return self._completions > 0


def _properties(profile: Profile, small: Profile):
    """Of one profile; broken copies are refuted in a ``small`` one."""
    serial = not profile.pipelined

    def make(opcode, **how):
        if serial:
            return lambda profile: _Serial(profile, opcode, **how)
        if opcode is Opcode.ZEROIZE:
            return lambda profile: _Zeroize(profile, **how)
        return lambda profile: _Load(profile, **how)

    runs = {
        "zeroize": {
            "one": make(Opcode.ZEROIZE, every=False),
            "all": make(Opcode.ZEROIZE, every=True),
        },
        "load_forgets": {
            "aes128": make(Opcode.LOAD, suite=Suite.AES_128_GCM),
            "aes256": make(Opcode.LOAD, suite=Suite.AES_256_GCM),
        },
    }
    if not serial:
        runs["load_forgets"]["refused"] = make(Opcode.LOAD, suite=0)
    return [
        Property(
            name=f"{kind}.{profile.name}.{which}",
            promise=_PROMISES[kind],
            design=lambda design=design: design(profile),
            method=Erasure(),
            mutant=_MUTANTS[kind, serial],
            # Of one slot, under the larger key: what is broken shows there.
            broken_design=lambda small_one=broken: small_one(small),
        )
        for kind, designs in runs.items()
        for which, design in designs.items()
        for broken in (designs.get("aes256", designs.get("one")),)
    ]


_PROMISES = {
    "zeroize": "When ZEROIZE is over, zeros have been written over every word of its slot, or of "
    "all, and nothing in the registers that keys go through depends on what they held.",
    "load_forgets": "When LOAD is over, carried out or refused, nothing in the registers that keys "
    "go through depends on what it brought, but for its public fields.",
}

_MUTANTS = {
    ("zeroize", True): Mutant(
        what="the round keys of the record-number key stay",
        module="hdl.loader",
        old="self.write_mask.eq(~0),",
        new="self.write_mask.eq((~at[4]).replicate(BLOCK_BYTES)),",
    ),
    ("zeroize", False): Mutant(
        what="the round keys of the record-number key stay",
        module="hdl.pipeline.control",
        old="last_word.eq(word == WORDS_PER_SLOT - 2)",
        new="last_word.eq(word == WORDS_PER_SLOT // 2 - 2)",
    ),
    ("load_forgets", True): Mutant(
        what="the last word of the key expansion stays",
        module="hdl.loader",
        old="m.d.sync += [word.eq(0), first.eq(0)]",
        new="m.d.sync += first.eq(0)",
    ),
    ("load_forgets", False): Mutant(
        what="H stays in its register",
        module="hdl.pipeline.control",
        old="            takes_h.eq(clears),\n",
        new="            takes_h.eq(0),\n",
    ),
}

PROPERTIES = [
    *_properties(TINY, SMALL),
    *_properties(COMPACT, SMALL_RING),
    *_properties(FAST, SMALL_RING),
]
