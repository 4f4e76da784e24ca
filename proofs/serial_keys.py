"""LOAD's keys show in nothing that leaves the serial engine until it seals or opens something."""

from amaranth.hdl import Cat, Module, Mux, Value

from driver.messages import HEADER_BYTES, Opcode, Suite, Usage
from hdl.profile import Profile
from hdl.serial_accelerator import SerialAccelerator
from proofs.independence import Copy, Independence, Stimulus
from proofs.opened import Opened, Replaced
from proofs.property import Mutant, Property
from proofs.serial_timing import SMALL, Packets, is_fixed

__all__ = ["PROPERTIES"]

#: The bit of an opcode that those have which seal or open.
_SEALS_OR_OPENS = 0b100
#: States of the engine in which its request has been read to its end.
_AT_END = (
    *("reset", "wipe", "finish", "finishing"),
    *("complete", "count message", "count bytes", "commit"),
)


class _KeyIsKept(Copy):
    """All packets are shared but for LOAD's keys and IV; none seals or opens anything.

    Opcodes with bit 2 are left out: SEAL, OPEN, AEAD_SEAL, AEAD_OPEN, and some that nobody knows.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile

    def describe(self, m: Module) -> None:
        device = SerialAccelerator(self._profile)
        # What slots hold comes of the keys, so it is private.
        slots = device._slots
        device._slots = Replaced(
            slots,
            **{
                name: self.private(name, len(Value.cast(getattr(slots, name))))
                for name in ("round_key", "h", "string", "state")
            },
        )
        device._loader, device._reader = Opened(device._loader), Opened(device._reader)
        engine = device._engine
        engine._gcm = gcm = Opened(engine._gcm)
        device._engine = engine = Opened(engine)
        device = Opened(device)
        m.submodules.device = device
        reader, loader, header = device._reader, device._loader, device._reader["header"]
        data = self.shared("data", 8)
        begins = reader.ongoing("HEADER") & (reader["position"] == 0)
        m.d.comb += [
            device.requests.valid.eq(self.shared("valid")),
            device.requests.payload.last.eq(self.shared("last")),
            device.requests.payload.data.eq(
                Mux(
                    loader.ongoing("collect") & ~is_fixed(loader) & ~reader.ongoing("HEADER"),
                    self.private("data", 8),
                    Mux(begins, data & ~_SEALS_OR_OPENS, data),
                )
            ),
            device.completions.ready.eq(self.shared("ready")),
        ]
        for taken in range(1, HEADER_BYTES):
            is_here = reader.ongoing("HEADER") & (reader["position"] == taken)
            opcode = header.word_select(taken - 1, 8)
            self.invariant(m, f"header_{taken}", ~is_here | ((opcode & _SEALS_OR_OPENS) == 0))
        self.invariant(m, "position", reader.ongoing("HEADER") | (reader["position"] == 0))
        is_allowed = reader.ongoing("HEADER") | ((header[56:] & _SEALS_OR_OPENS) == 0)
        self.invariant(m, "header", is_allowed)
        is_read = reader.ongoing("HEADER") | reader.ongoing("REQUEST")
        self.invariant(m, "idle", device.ongoing("idle") == is_read)
        at_end = Cat(device.ongoing(state) for state in _AT_END).any()
        self.invariant(m, "end", ~at_end | reader.end.valid)
        self.invariant(m, "engine", engine.ongoing("idle"))
        self.invariant(m, "gcm", gcm.ongoing("Idle") & ~gcm["compared"])
        self.equal(m, "ready", device.requests.ready)
        self.equal(m, "valid", device.completions.valid)
        self.equal(m, "data", device.completions.payload.data)
        self.equal(m, "last", device.completions.payload.last)

    def stimulus(self) -> Stimulus:
        load = bytes([Suite.AES_128_GCM, Usage.AEAD]) + bytes(106)
        return Packets([bytes([Opcode.LOAD, 0, 0, 0, 0, 0, 0, len(load)]) + load])


PROPERTIES = [
    Property(
        name="key_is_kept.serial",
        promise="Until a message is sealed or opened, nothing that leaves the serial engine, and "
        "not when it leaves, depends on the keys and IVs that LOAD brought.",
        design=lambda: _KeyIsKept(SMALL),
        method=Independence(),
        mutant=Mutant(
            what="LOAD answers with a byte of its key expansion",
            module="hdl.loader",
            old="        self._check(m)\n",
            new="        self._check(m)\n"
            "        m.d.comb += unit.write.data.eq(self._expanded)\n"
            "        m.d.comb += unit.write.enable.eq(self._forget)\n"
            "        m.d.comb += unit.write.address.eq(8)\n"
            "        m.d.comb += unit.length.eq(1)\n",
        ),
    ),
]
