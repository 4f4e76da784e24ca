"""The keys in use: which epochs are open, and the change to the next (RFC 9147, 6.1 and 8)."""

from bisect import bisect_left

from protocol.crypto.suites import CipherSuite
from protocol.delivery import Delivery
from protocol.handshake import EARLY_EPOCH
from protocol.key_schedule import next_generation, traffic_keys
from protocol.record import RecordLayer


class _Direction:
    """The newest epoch of one direction, and the secret that the next one follows from."""

    def __init__(self) -> None:
        self.epoch = 0
        self.suite: CipherSuite
        self.secret = b""
        #: All epochs that still have keys, oldest first.
        self.kept = [0]

    def move(self, epoch: int, suite: CipherSuite, secret: bytes) -> None:
        self.epoch, self.suite, self.secret = epoch, suite, secret
        self.kept.append(epoch)

    def drop_before(self, epoch: int) -> list[int]:
        if self.kept[0] >= epoch:  # nearly always, and this runs for each record
            return []
        first = bisect_left(self.kept, epoch)
        dropped, self.kept = self.kept[:first], self.kept[first:]
        return dropped


class Epochs:
    """Installs keys in the record layer, and forgets those that nothing needs any more.

    Old keys for reading stay until the epoch after them has shown a genuine record, because an ACK
    of ours may have been lost (RFC 9147, 8), and because datagrams are reordered: no more than
    three epochs are open at a time, four at a server that takes early data. That ends with the
    first record of epoch 3 (RFC 9147, 5.6).
    """

    def __init__(self, records: RecordLayer, delivery: Delivery) -> None:
        self._records = records
        self._delivery = delivery
        self._read = _Direction()
        self._write = _Direction()
        #: By epoch: what our records are numbered from where keys were forgotten.
        self._first_numbers: dict[int, int] = {}

    @property
    def write_epoch(self) -> int:
        """The newest epoch that we send in."""
        return self._write.epoch

    @property
    def read_epoch(self) -> int:
        """The newest epoch that the peer may send in."""
        return self._read.epoch

    def read_with(self, epoch: int, suite: CipherSuite, secret: bytes) -> None:
        """Open the records of ``epoch`` with this traffic secret from now on."""
        keys = traffic_keys(suite, secret)
        self._records.install_opener(epoch, keys, without_id=epoch == EARLY_EPOCH)
        self._read.move(epoch, suite, secret)
        self._delivery.change_read_epoch(epoch)

    def write_with(self, epoch: int, suite: CipherSuite, secret: bytes) -> None:
        """Seal records with this traffic secret from now on; ``epoch`` is the one for ACKs."""
        first = self._first_numbers.pop(epoch, 0)
        self._records.install_sealer(epoch, traffic_keys(suite, secret), first)
        self._write.move(epoch, suite, secret)
        self._delivery.write_epoch = epoch

    def write_early_with(self, suite: CipherSuite, secret: bytes) -> None:
        """Seal early data with this traffic secret.

        The newest epoch that we send in stays epoch 0: ACKs must not come in epoch 1 (RFC 9147bis,
        7), and an alert would not be read in it if the server rejects early data.
        """
        self._records.install_sealer(EARLY_EPOCH, traffic_keys(suite, secret))

    def end_early_writing(self) -> None:
        """No more early data is sent; harmless if there was none."""
        self._records.discard_sealer(EARLY_EPOCH)

    def go_back(self) -> None:
        """Forget all keys: the hello that they follow from does not count.

        If it comes back, so do its keys. So the numbers of our records go on.
        """
        for epoch in self._read.kept[1:]:
            self._records.discard_opener(epoch)
        for epoch in self._write.kept[1:]:
            self._first_numbers[epoch] = self._records.sealers[epoch].next_number
            self._records.discard_sealer(epoch)
        self._read, self._write = _Direction(), _Direction()

    def next_read(self) -> int:
        """The peer's next keys (RFC 8446, 7.2); returns their epoch."""
        current = self._read
        secret = next_generation(current.suite, current.secret)
        self.read_with(current.epoch + 1, current.suite, secret)
        return self._read.epoch

    def next_write(self) -> int:
        """Our next keys (RFC 8446, 7.2); returns their epoch."""
        current = self._write
        secret = next_generation(current.suite, current.secret)
        self.write_with(current.epoch + 1, current.suite, secret)
        return self._write.epoch

    def saw(self, epoch: int) -> None:
        """A genuine record of ``epoch`` came: what is older than the epoch before goes."""
        for old in self._read.drop_before(epoch - 1):
            self._records.discard_opener(old)

    def all_arrived(self) -> None:
        """The peer has all our flights: nothing is sent again in an old epoch."""
        for old in self._write.drop_before(self._write.epoch):
            self._records.discard_sealer(old)
