"""The host's side of the accelerator's AXI4-Stream ports: requests in, checked completions out."""

from collections import Counter as Tally
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from cocotb_tests.streams import PACES, Bench, PacketSink, PacketSource, Watcher
from driver.messages import (
    AeadPrefix,
    Completion,
    Counter,
    Load,
    Opcode,
    Request,
    Status,
    Suite,
    Usage,
    unpack_stats,
)

__all__ = ["Answer", "Host", "aead_payload", "suite_of"]

#: What counts the messages that an opcode has protected.
_COUNTERS = {
    Opcode.SEAL: Counter.RECORDS_SEALED,
    Opcode.OPEN: Counter.RECORDS_OPENED,
    Opcode.AEAD_SEAL: Counter.AEAD_SEALED,
    Opcode.AEAD_OPEN: Counter.AEAD_OPENED,
}

#: More cycles than the device may take for a byte of a request, and for a request, at any pace.
#: A request may announce 65,535 bytes that never come, and each takes a cycle all the same.
_CYCLES_PER_BYTE = 20
_CYCLES_PER_REQUEST = 70_000


class Answer(NamedTuple):
    """What a completion says: without payload unless the status is OK."""

    status: Status
    payload: bytes


class Host(Bench):
    """Sends requests in batches, back to back, and gives what came of each, in order.

    Every batch goes at another of the ``paces``, idle and back-pressure included.
    """

    def __init__(
        self,
        dut,
        seed: str,
        paces: Sequence[tuple[float, float]] = PACES,
        watchers: Sequence[Watcher] = (),
    ):
        self._source, self._sink = PacketSource(dut, "s_axis"), PacketSink(dut, "m_axis")
        super().__init__(dut, [self._source, self._sink], seed, watchers)
        self._paces = paces
        self._random = Random(f"host {seed}")
        self._answers: Tally[tuple[int, Status]] = Tally()

    async def reset(self) -> None:
        """Reset the device, and with it its counters."""
        self._answers.clear()
        await super().reset()

    async def exchange(self, packets: Sequence[bytes], hold: int = 0) -> list[bytes]:
        """The completion packet for each of ``packets``, which may hold anything.

        None is taken in the first ``hold`` cycles.
        """
        self.pace(*self._random.choice(self._paces))
        self._sink.hold = hold
        for packet in packets:
            self._source.send(packet)
        cycles = _CYCLES_PER_BYTE * sum(map(len, packets)) + _CYCLES_PER_REQUEST * len(packets)
        await self.run_until(lambda: len(self._sink.items) == len(packets), hold + cycles)
        completions = self._sink.take()
        self._answers.update((completion[0], Status(completion[1])) for completion in completions)
        return completions

    async def ask_all(self, requests: Sequence[tuple[int, int, bytes]]) -> list[Answer]:
        """The answer to each request, given as opcode, slot and payload."""
        sent = [
            Request(opcode, slot, self._random.getrandbits(16), payload)
            for opcode, slot, payload in requests
        ]
        completions = await self.exchange([request.pack() for request in sent])
        return [
            _answer(request, Completion.unpack(completion))
            for request, completion in zip(sent, completions, strict=True)
        ]

    async def ask(self, opcode: int, slot: int = 0, payload: bytes = b"") -> Answer:
        """The answer to a single request."""
        (answer,) = await self.ask_all([(opcode, slot, payload)])
        return answer

    async def finish(self) -> None:
        """Check that nothing was sent unasked, and that STATS has counted what was answered."""
        await self.run_for(500)
        assert not self._sink.items
        expected = {Counter[status.name]: 0 for status in Status if status is not Status.OK}
        expected |= dict.fromkeys(_COUNTERS.values(), 0)
        for (opcode, status), count in self._answers.items():
            if status is not Status.OK:
                expected[Counter[status.name]] += count
            elif opcode in _COUNTERS:
                expected[_COUNTERS[opcode]] += count
        counted = unpack_stats((await self.ask(Opcode.STATS)).payload)
        assert {counter: counted[counter] for counter in expected} == expected
        assert counted[Counter.CYCLES] > counted[Counter.BUSY_CYCLES]

    async def load(self, slot: int, load: Load) -> None:
        """Fill a slot."""
        assert await self.ask(Opcode.LOAD, slot, load.pack()) == (Status.OK, b"")

    async def load_aead_key(self, slot: int, key: bytes) -> None:
        """Fill a slot for AEAD_SEAL and AEAD_OPEN."""
        await self.load(slot, Load(suite=suite_of(key), usage=Usage.AEAD, key=key))


def suite_of(key: bytes) -> Suite:
    """The suite with keys of this length."""
    return {16: Suite.AES_128_GCM, 32: Suite.AES_256_GCM}[len(key)]


def aead_payload(nonce: bytes, associated_data: bytes, text: bytes) -> bytes:
    """The payload of AEAD_SEAL and AEAD_OPEN."""
    return AeadPrefix(len(associated_data), nonce).pack() + associated_data + text


def _answer(request: Request, completion: Completion) -> Answer:
    echoed = (completion.opcode, completion.slot, completion.request_id)
    assert echoed == (request.opcode, request.slot, request.request_id)
    status = Status(completion.status)
    assert status is Status.OK or not completion.payload, f"{status.name} with a payload"
    return Answer(status, completion.payload)
