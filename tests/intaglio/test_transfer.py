import asyncio
import random
from contextlib import suppress

import pytest

from intaglio import transfer
from intaglio.transfer import FileTooLargeError, receive_file, send_file


class EndedError(Exception):
    """The session is over."""


class LossyDatagrams:
    """One end of a pair of queues that lose and duplicate what they carry."""

    max_payload = 100

    def __init__(self, seed, loss):
        self._random = random.Random(seed)
        self._loss = loss
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.peer: LossyDatagrams

    async def send(self, data):
        await asyncio.sleep(0)
        for _ in range(self._random.choice((1, 1, 2))):
            if self._random.random() >= self._loss:
                self.peer.inbox.put_nowait(data)

    async def receive(self):
        data = await self.inbox.get()
        if data is None:
            raise EndedError
        return data


async def transfer_between(source, target, *, seed, loss):
    sender, receiver = LossyDatagrams(seed, loss), LossyDatagrams(seed + 1, loss)
    sender.peer, receiver.peer = receiver, sender
    receiving = asyncio.ensure_future(receive_file(receiver, target))
    progress = []
    await send_file(sender, source, progress.append)
    receiver.inbox.put_nowait(None)
    with suppress(EndedError):
        await receiving
    return progress


@pytest.mark.parametrize("size", [0, 1, 95, 96, 97, 20_000])
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_a_file_arrives_whole_in_spite_of_loss_and_duplication(tmp_path, monkeypatch, size, loss):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.01)
    source, target = tmp_path / "sent", tmp_path / "received"
    source.write_bytes(random.Random(size).randbytes(size))
    progress = asyncio.run(transfer_between(source, target, seed=size, loss=loss))
    assert target.read_bytes() == source.read_bytes()
    assert progress[-1] == size


def test_a_file_that_offsets_cannot_address_is_refused(tmp_path):
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(FileTooLargeError, match="4294967296"):
        asyncio.run(transfer_between(source, tmp_path / "received", seed=0, loss=0.0))
