"""Packets at ports of any width, for testbenches that drive them beat by beat."""

from collections.abc import Iterator

from tests.hdl.streams import get, put_all


def width_of(packets) -> int:
    """Bytes in a beat of a packet stream."""
    return len(packets.payload.data) // 8


def beats(packet: bytes, width: int) -> Iterator[dict[str, int]]:
    """The transfers of a packet as payloads of `packet_layout`; byte-wide ones have no count."""
    for at in range(0, len(packet), width):
        piece = packet[at : at + width]
        beat = {"data": int.from_bytes(piece, "little"), "last": int(at + width >= len(packet))}
        yield beat if width == 1 else beat | {"bytes": len(piece)}


def bytes_of(beat, width: int) -> bytes:
    """The valid bytes of a transfer."""
    return int(beat.data).to_bytes(width, "little")[: 1 if width == 1 else int(beat.bytes)]


async def get_packet(ctx, packets) -> bytes:
    """The bytes of the next packet."""
    packet = b""
    while True:
        beat = await get(ctx, packets)
        packet += bytes_of(beat, width_of(packets))
        if beat.last:
            return packet


async def ask(ctx, dut, packet: bytes) -> bytes:
    """The completion of one request."""
    await put_all(ctx, dut.requests, beats(packet, width_of(dut.requests)))
    return await get_packet(ctx, dut.completions)
