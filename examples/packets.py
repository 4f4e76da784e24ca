"""Requests and completions in hex, as docs/contract.md shows them, from the device's model.

::

    python examples/packets.py
"""

from driver.messages import ALL_SLOTS, Completion, Load, Opcode, Request, Status, Suite, Usage
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT

#: These are not keys for anything real.
KEY, IV, RECORD_NUMBER_KEY = bytes(range(16)), bytes(range(16, 28)), bytes(range(32, 48))
#: Content and content type 23, application data.
INNER_PLAINTEXT = b"hello\x17"


def show(arrow: str, packet: bytes) -> None:
    """Header and payload, 16 bytes a line."""
    print(f"  {arrow} {packet[:8].hex(' ')}")
    for start in range(8, len(packet), 16):
        print(f"    {packet[start : start + 16].hex(' ')}")


def main() -> None:
    """LOAD two slots, SEAL, OPEN, and two refusals."""
    model = AcceleratorModel(COMPACT)
    request_id = 0

    def ask(opcode: Opcode, slot: int, payload: bytes = b"") -> bytes:
        nonlocal request_id
        request_id += 1
        request = Request(opcode, slot, request_id, payload).pack()
        answer = model.request(request)
        completion = Completion.unpack(answer)
        print(f"{opcode.name}: {Status(completion.status).name}")
        show(">", request)
        show("<", answer)
        return completion.payload

    for slot, usage in enumerate((Usage.SEAL, Usage.OPEN)):
        load = Load(Suite.AES_128_GCM, usage, KEY, IV, RECORD_NUMBER_KEY, epoch=3)
        ask(Opcode.LOAD, slot, load.pack())
    record = ask(Opcode.SEAL, 0, INNER_PLAINTEXT)
    ask(Opcode.OPEN, 1, record)
    ask(Opcode.OPEN, 1, record)
    ask(Opcode.ZEROIZE, ALL_SLOTS)
    ask(Opcode.SEAL, 0, INNER_PLAINTEXT)


if __name__ == "__main__":
    main()
