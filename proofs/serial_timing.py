"""The serial engine's timing does not depend on data."""

from amaranth.hdl import Module, Mux, Value

from driver.messages import Opcode, Suite, Usage
from hdl.loader import LoadLayout
from hdl.profile import TINY, Profile
from hdl.serial_accelerator import SerialAccelerator
from hdl.slots import STAGED_BYTES
from proofs.independence import Copy, Independence, Stimulus
from proofs.opened import Opened, Replaced
from proofs.property import Mutant, Property

__all__ = ["PROPERTIES", "SMALL", "Packets", "is_fixed"]


class Packets(Stimulus):
    """Packets one after the other, a byte a cycle; completions are taken at once."""

    def __init__(self, packets, **given):
        self._bytes = [
            (byte, i == len(packet) - 1) for packet in packets for i, byte in enumerate(packet)
        ]
        self._given = given
        self._left = len(packets)

    def inputs(self):
        given = {"ready": 1, **self._given}
        if self._bytes:
            byte, last = self._bytes[0]
            given |= {"valid": 1, "data": byte, "last": last}
        return given

    def outputs(self, equal):
        if self._bytes and equal["ready"]:
            self._bytes.pop(0)
        if equal["valid"] and equal["last"]:
            self._left -= 1
        return self._left > 0


def is_fixed(loader) -> Value:
    """Whether the next byte of LOAD's payload, which ends with its place, is public."""
    at = loader._at - (STAGED_BYTES - LoadLayout.size // 8)
    iv, connection_id, keys = (
        LoadLayout[name].offset // 8 for name in ("iv", "connection_id", "keys")
    )
    return (at < iv) | ((at >= connection_id) & (at < keys))


class _Timing(Copy):
    """What packets hold is shared as far as it says what is to be done, else private.

    Shared are the request's header, and of its payload: what LOAD fixes but for keys and IV; the
    header of a record to open; the prefix of an AEAD message. What comes of the secrets is shared
    where it may be known: the record's number, whether its tag is right, what the window says, and
    the length of its content.
    """

    def __init__(self, profile: Profile):
        super().__init__()
        self._profile = profile

    def describe(self, m: Module) -> None:
        device = SerialAccelerator(self._profile)
        engine = device._engine
        engine._reconstruction = Replaced(engine._reconstruction, number=self.shared("number", 48))
        engine._gcm = Replaced(engine._gcm, genuine=self.shared("genuine"))
        content_bytes = engine._output.content_bytes
        engine._output = Replaced(
            engine._output, content_bytes=self.shared("content_bytes", len(content_bytes))
        )
        engine._window = Replaced(
            engine._window, too_old=self.shared("too_old"), replayed=self.shared("replayed")
        )
        engine._parser = Replaced(engine._parser, malformed=self.shared("malformed"))
        # Round keys go nowhere but into the AES core, so they may be anything in each cycle.
        slots = device._slots
        device._slots = Replaced(
            slots,
            round_key=self.private("round_key", 128),
            h=self.private("h", 128),
            string=self.private("string", 8),
            state=self.shared("state", len(Value.cast(slots.state))),
        )
        device._engine, device._loader = Opened(engine), Opened(device._loader)
        device._reader = Opened(device._reader)
        m.submodules.device = device
        m.d.comb += [
            device.requests.valid.eq(self.shared("valid")),
            device.requests.payload.last.eq(self.shared("last")),
            device.requests.payload.data.eq(
                Mux(self._is_shared(device), self.shared("data", 8), self.private("data", 8))
            ),
            device.completions.ready.eq(self.shared("ready")),
        ]
        self.equal(m, "ready", device.requests.ready)
        self.equal(m, "valid", device.completions.valid)
        self.equal(m, "last", device.completions.valid & device.completions.payload.last)

    def _is_shared(self, device) -> Value:
        """Whether the next byte of a packet is one that both copies have."""
        reader, loader, engine = device._reader, device._loader, device._engine
        return (
            reader.ongoing("HEADER")
            | (loader.ongoing("collect") & is_fixed(loader))
            | engine.ongoing("parse")
            | (engine.ongoing("prefix") & (engine._sampled < 4))
        )

    def stimulus(self) -> Stimulus:
        load = bytes([Suite.AES_128_GCM, Usage.AEAD]) + bytes(106)
        message = bytes(16 + 16)
        return Packets(
            [
                bytes([Opcode.LOAD, 0, 0, 0, 0, 0, 0, len(load)]) + load,
                bytes([Opcode.AEAD_OPEN, 0, 0, 0, 0, 0, 0, len(message)]) + message,
            ]
        )


#: Small enough for runs from reset.
SMALL = Profile("small", slots=2, largest_record=64, window=4, ghash_digit=1)

PROPERTIES = [
    Property(
        name="timing.serial",
        promise="Every ready and valid of the serial engine is the same in every cycle, whatever "
        "keys, plaintexts, ciphertexts and tags are, at equal lengths, numbers and verdicts.",
        design=lambda: _Timing(TINY),
        method=Independence(),
        mutant=Mutant(
            what="the tag is compared up to the first byte that differs",
            module="hdl.gcm",
            old='with m.If(moves & (position == 15)):\n                    m.next = "Last"',
            new="with m.If((moves & (position == 15)) | different):\n"
            '                    m.next = "Last"',
        ),
        broken_design=lambda: _Timing(SMALL),
    ),
]
