"""LOAD's keys show in nothing that the pipelined engine's `Control` gives to completions."""

from amaranth.hdl import Module, Value
from amaranth.lib import data

from driver.messages import Opcode, Suite, Usage
from hdl.pipeline.control import Control
from hdl.pipeline.layouts import context_layout
from hdl.profile import COMPACT, FAST, Profile
from proofs.hash_units import hash_unit
from proofs.independence import Copy, Independence, Stimulus
from proofs.property import Mutant, Property
from proofs.public_load import public_load

__all__ = ["PROPERTIES"]

#: What of a context may be known.
_PUBLIC = [name for name, _ in context_layout() if name not in ("iv", "connection_id")]
#: What leaves the keys' way: to completions, and when the cores and memories are used.
_GIVEN = (
    *("done", "blocks", "status", "text_bytes", "ready", "takes_over", "append", "appended"),
    *("counter", "encrypt", "slot", "aes256", "write_round_key", "round_key_address"),
    *("write_power", "power_address", "derived", "write_slot", "next_number"),
)
_SHARED = (
    *("start", "staged", "wipe", "encrypts", "encrypted_valid", "hashed_ready", "digests_valid"),
)


class _KeyIsKept(Copy):
    """All is shared but what is staged, public fields excepted, and what comes out of the cores."""

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile

    def describe(self, m: Module) -> None:
        m.submodules.control = block = Control(self._profile, hash_unit(self._profile))
        epoch = data.View(data.ArrayLayout(8, 2), self.shared("load_epoch", 16))
        block.staged_load = public_load(self, block.staged_load, epoch=epoch)
        ports = {
            "encrypted_valid": block.encrypted.valid,
            "hashed_ready": block.hashed.ready,
            "digests_valid": block.digests.valid,
        }
        for name in _SHARED:
            m.d.comb += ports.get(name, getattr(block, name, None)).eq(self.shared(name))
        m.d.comb += [
            block.echo.eq(self.shared("echo", len(block.echo.as_value()))),
            block.counter_value.eq(self.shared("counter_value", 64)),
            block.staged_piece.eq(self.private("staged_piece", 128)),
            block.encrypted.payload.eq(self.private("encrypted", 128)),
            block.digests.payload.eq(self.private("digests", 128)),
        ]
        for name in _GIVEN:
            self.equal(m, name, Value.cast(getattr(block, name)))
        for name in _PUBLIC:
            self.equal(m, f"context_{name}", Value.cast(block.context[name]))
        self.equal(m, "hashed_valid", block.hashed.valid)

    def stimulus(self) -> Stimulus:
        return _LoadAndReport()


class _LoadAndReport(Stimulus):
    """LOAD, and INFO long after it."""

    STAGED, LOAD, INFO = 3000, 3020, 4500

    def __init__(self):
        self._cycle = -1

    def inputs(self):
        self._cycle += 1
        cycle = self._cycle
        opcode = Opcode.INFO if cycle >= self.INFO - 5 else Opcode.LOAD
        return {
            "start": cycle in (self.LOAD, self.INFO),
            "echo": opcode,
            "staged": self.STAGED <= cycle < self.STAGED + 7,
            "load_suite": Suite.AES_128_GCM,
            "load_usage": Usage.SEAL,
            **dict.fromkeys(("encrypts", "encrypted_valid", "hashed_ready", "digests_valid"), 1),
        }

    def outputs(self, equal):
        return True


PROPERTIES = [
    Property(
        name=f"key_is_kept.control.{profile.name}",
        promise=f"Nothing that the Control of {profile.name} gives to a completion, and not when, "
        "depends on the keys and IVs that LOAD brought, on H, or on what the cores gave.",
        design=lambda profile=profile: _KeyIsKept(profile),
        method=Independence(runs=64),
        mutant=Mutant(
            what="what the AES core gave last stands where the next report will",
            module="hdl.pipeline.control",
            old="m.d.sync += self.appended.eq(0)",
            new="m.d.sync += self.appended.eq(self.encrypted.payload)",
        ),
    )
    for profile in (COMPACT, FAST)
]
