import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

from intaglio.transfer import Pace, TransferError, receive_file, send_file

#: For tests in which silence is part of the way.
IMPATIENT = Pace(timeout=0.01, patience=0.05)


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
    await send_file(sender, source, progress.append, Pace(timeout=0.01))
    receiver.inbox.put_nowait(None)
    with suppress(EndedError):
        await receiving
    return progress


@pytest.mark.parametrize("size", [0, 1, 95, 96, 97, 20_000])
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_a_file_arrives_whole_in_spite_of_loss_and_duplication(tmp_path, size, loss):
    source, target = tmp_path / "sent", tmp_path / "received"
    source.write_bytes(random.Random(size).randbytes(size))
    progress = asyncio.run(transfer_between(source, target, seed=size, loss=loss))
    assert target.read_bytes() == source.read_bytes()
    assert progress[-1] == size


def test_a_file_that_offsets_cannot_address_is_refused(tmp_path):
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(TransferError, match="4294967296"):
        asyncio.run(transfer_between(source, tmp_path / "received", seed=0, loss=0.0))


def test_a_sender_gives_up_when_nobody_acknowledges(tmp_path):
    (tmp_path / "sent").write_bytes(bytes(1000))
    sender, nobody = LossyDatagrams(0, 0.0), LossyDatagrams(1, 0.0)
    sender.peer = nobody
    with pytest.raises(TransferError, match="acknowledged nothing"):
        asyncio.run(send_file(sender, tmp_path / "sent", pace=IMPATIENT))
    assert nobody.inbox.qsize() > IMPATIENT.window


def test_a_window_of_one_keeps_one_datagram_on_its_way(tmp_path):
    (tmp_path / "sent").write_bytes(bytes(1000))
    sender, nobody = LossyDatagrams(0, 0.0), LossyDatagrams(1, 0.0)
    sender.peer = nobody
    with pytest.raises(TransferError):
        asyncio.run(send_file(sender, tmp_path / "sent", pace=replace(IMPATIENT, window=1)))
    assert {nobody.inbox.get_nowait()[:4] for _ in range(nobody.inbox.qsize())} == {bytes(4)}


def test_a_receiver_gives_up_when_nothing_comes(tmp_path):
    receiver = LossyDatagrams(0, 0.0)
    with pytest.raises(TransferError, match="nothing has come"):
        asyncio.run(receive_file(receiver, tmp_path / "received", pace=IMPATIENT))


def hear(tmp_path, *datagrams):
    """What a receiver answers to these."""
    receiver, sender = LossyDatagrams(0, 0.0), LossyDatagrams(1, 0.0)
    receiver._random = sender._random = SimpleNamespace(choice=max, random=lambda: 1.0)
    receiver.peer = sender
    for datagram in (*datagrams, None):
        receiver.inbox.put_nowait(datagram)
    try:
        asyncio.run(receive_file(receiver, tmp_path / "received"))
    finally:
        receiver.answers = [sender.inbox.get_nowait() for _ in range(sender.inbox.qsize())]


def test_a_session_that_ends_too_early_is_an_error(tmp_path):
    with pytest.raises(TransferError, match="not arrive whole"):
        hear(tmp_path, b"\0\0\0\0abc")
    with pytest.raises(TransferError, match="not arrive whole"):
        hear(tmp_path, b"\0\0\0\4", b"\0\0\0\0abc")
    with pytest.raises(EndedError):
        hear(tmp_path, b"\0\0\0\3", b"\0\0\0\0abc")


def test_a_lost_farewell_does_not_keep_the_receiver(tmp_path):
    receiver, sender = LossyDatagrams(0, 0.0), LossyDatagrams(1, 0.0)
    receiver.peer = sender
    for datagram in (b"\0\0\0\0abc", b"\0\0\0\3"):
        receiver.inbox.put_nowait(datagram)
    asyncio.run(receive_file(receiver, tmp_path / "received", pace=IMPATIENT))
    assert (tmp_path / "received").read_bytes() == b"abc"


def test_datagrams_of_another_form_are_ignored(tmp_path):
    with pytest.raises(EndedError):
        hear(tmp_path, b"", b"abc", b"\0\0\0\0abc", b"\0\0\0\3")
    assert (tmp_path / "received").read_bytes() == b"abc"


def test_a_sender_of_scattered_pieces_does_not_fill_the_memory(tmp_path):
    pieces = [offset.to_bytes(4, "big") + b"x" for offset in range(2, 10_000, 2)]
    with pytest.raises(TransferError):
        hear(tmp_path, *pieces)
    assert (tmp_path / "received").stat().st_size < 1000


def test_a_file_that_becomes_shorter_is_not_sent(tmp_path):
    source = tmp_path / "sent"
    source.write_bytes(bytes(10_000))
    sender, receiver = LossyDatagrams(0, 0.0), LossyDatagrams(1, 0.0)
    sender.peer = receiver
    for offset in range(0, 10_000, 96):
        sender.inbox.put_nowait(offset.to_bytes(4, "big"))
    with pytest.raises(TransferError, match="became shorter"):
        asyncio.run(send_file(sender, source, lambda done: source.write_bytes(b"")))
