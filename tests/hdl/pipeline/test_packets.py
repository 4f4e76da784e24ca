"""Packets whose end is not where their header says, at every place of a beat; and null beats."""

import pytest

from driver.messages import AeadPrefix, Opcode, Request, Status, Usage
from hdl.accelerator import Accelerator
from hdl.model import AcceleratorModel
from sim import simulate as simulate_design
from tests.hdl.pipeline.batches import Device, Key
from tests.hdl.ports import beats, get_packet
from tests.hdl.streams import put_all, simulate
from tests.hdl.traffic import SMALL_NARROW, SMALL_PIPELINED

PROFILE = SMALL_PIPELINED
INFO = Request(Opcode.INFO, 0, 0x1234).pack()


@pytest.fixture(scope="module")
def device():
    with simulate_design(Accelerator(PROFILE), backend="amaranth") as simulation:
        yield Device(simulation, PROFILE)


def cut_anywhere(packet: bytes) -> list[bytes]:
    return [packet[:length] for length in range(1, len(packet))]


#: With these the text begins at byte 13, 0, 1, 8, 9 and 1 of a beat.
@pytest.mark.parametrize("size", [0, 3, 4, 11, 12, 20])
def test_a_record_to_open_cut_short_anywhere(device, size):
    key = Key(PROFILE, "cut", Usage.OPEN, 1, connection_id=bytes(range(size)))
    device.clear(key)
    packet = key.open(b"t" * 31 + b"\x17")
    statuses = device.send_all([*cut_anywhere(packet), packet])
    assert statuses == [Status.MALFORMED_REQUEST] * (len(packet) - 1) + [Status.OK]


@pytest.mark.parametrize("opcode", [Opcode.AEAD_SEAL, Opcode.AEAD_OPEN], ids=lambda o: o.name)
@pytest.mark.parametrize("associated_bytes", [0, 8, 13, 24])
def test_a_message_cut_short_anywhere(device, associated_bytes, opcode):
    key = Key(PROFILE, "cut", Usage.AEAD, 2)
    device.clear(key)
    make = key.aead_seal if opcode is Opcode.AEAD_SEAL else key.aead_open
    packet = make(bytes(associated_bytes), b"t" * 32)
    statuses = device.send_all([*cut_anywhere(packet), packet])
    assert statuses == [Status.MALFORMED_REQUEST] * (len(packet) - 1) + [Status.OK]


def test_records_to_seal_and_keys_to_load_cut_short_anywhere(device):
    key = Key(PROFILE, "cut", Usage.SEAL, 0, connection_id=bytes(17))
    device.clear(key)
    packets = [*cut_anywhere(key.seal(b"t" * 40)), *cut_anywhere(key.load), key.seal(b"\x17")]
    statuses = device.send_all(packets)
    assert statuses == [Status.MALFORMED_REQUEST] * (len(packets) - 1) + [Status.OK]


@pytest.mark.parametrize("size", [0, 3, 20])
def test_packets_that_go_on_behind_their_end(device, size):
    seals = Key(PROFILE, "on", Usage.SEAL, 0, connection_id=bytes(size))
    opens = Key(PROFILE, "on", Usage.OPEN, 1, connection_id=bytes(size))
    aead = Key(PROFILE, "on", Usage.AEAD, 2)
    device.clear(seals, opens, aead)
    good = [
        seals.seal(b"t" * 8),
        seals.seal(b"t" * 24),
        opens.open(b"t" * 16),
        aead.aead_seal(b"a" * 8, b""),
        aead.aead_open(b"a" * 8, b""),
        INFO,
        seals.load,
    ]
    longer = [packet + bytes(extra) for packet in good for extra in (*range(1, 18), 32)]
    statuses = device.send_all([*longer, *good])
    assert statuses == [Status.MALFORMED_REQUEST] * len(longer) + [Status.OK] * len(good)


def test_far_longer_packets_than_they_say_and_the_other_way_round(device):
    key = Key(PROFILE, "far", Usage.SEAL, 0)
    device.clear(key)
    promises = [
        bytes([opcode, 0, 0, 0, 0, 0, 0xFF, 0xFF]) + bytes(rest)
        for opcode in (0, *Opcode)
        for rest in (0, 8, 9, 40)
    ]
    statuses = device.send_all([*promises, key.seal(b"\x17") + bytes(70_000), key.seal(b"\x17")])
    assert statuses == [Status.MALFORMED_REQUEST] * (len(promises) + 1) + [Status.OK]


def test_no_length_of_associated_data_is_so_large_that_it_fits(device):
    """What is left for the text is less than -65,536, where 16 bits and a sign end."""
    key = Key(PROFILE, "huge", Usage.AEAD, 2)
    device.clear(key)
    packets = [
        Request(opcode, 2, payload=size.to_bytes(2, "big") + bytes(14 + rest)).pack()
        for opcode in (Opcode.AEAD_SEAL, Opcode.AEAD_OPEN)
        for size in (0xFFF0, 0xFFF1, 0xFFFF)
        for rest in (0, 14, 16)
    ]
    statuses = device.send_all([*packets, key.aead_seal(b"a", b"t")])
    assert statuses == [Status.MALFORMED_REQUEST] * len(packets) + [Status.OK]


def with_null_beat(packet: bytes, width: int) -> list[dict[str, int]]:
    """Its last valid bytes come without TLAST, and then TLAST with TKEEP = 0."""
    whole = list(beats(packet, width))
    null = {"data": 0x5A, "bytes": 0, "last": 1}
    return [*(beat | {"last": 0} for beat in whole), null]


@pytest.mark.parametrize("profile", [SMALL_PIPELINED, SMALL_NARROW], ids=lambda p: p.name)
def test_a_packet_may_end_with_a_beat_of_null_bytes(profile):
    """Or be nothing else: then it has no header, and is malformed."""
    width = profile.bus_bytes
    dut, model = Accelerator(profile), AcceleratorModel(profile)
    seals = Key(profile, "null", Usage.SEAL, 0)
    opens = Key(profile, "null", Usage.OPEN, 1, connection_id=bytes(3))
    aead = Key(profile, "null", Usage.AEAD, 2)
    prefix = AeadPrefix(0, bytes(12)).pack()
    packets = [
        seals.load,
        opens.load,
        aead.load,
        seals.seal(b"t" * 7 + b"\x17"),
        opens.open(b"t" * 16),
        opens.open(b"t" * 15 + b"\x17")[:-16],
        aead.aead_seal(b"", b"t" * 8),
        aead.aead_open(b"", b"t" * 8),
        Request(Opcode.AEAD_SEAL, 2, payload=prefix + bytes(24)).pack(),
        Request(Opcode.INFO, 0, payload=bytes(8)).pack(),
        seals.seal(b"t" * 39 + b"\x17"),
        INFO,
    ]
    assert sum(len(packet) % width == 0 for packet in packets) >= 5
    nothing = {"data": 0x5A, "bytes": 0, "last": 1}

    async def send(ctx):
        for packet in packets:
            whole = len(packet) % width == 0
            offered = with_null_beat(packet, width) if whole else list(beats(packet, width))
            await put_all(ctx, dut.requests, [*offered, nothing])

    async def receive(ctx):
        for packet in packets:
            expected = model.request(packet)
            assert (await get_packet(ctx, dut.completions)).hex() == expected.hex(), packet.hex()
            empty = await get_packet(ctx, dut.completions)
            assert empty == bytes([0, Status.MALFORMED_REQUEST, 0, 0, 0, 0, 0, 0])

    simulate(dut, send, receive)
