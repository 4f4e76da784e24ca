"""Whatever ends a connection, every sealer and opener is closed: they may be slots of a device."""

import pytest

from protocol.alerts import Alert, AlertDescription
from protocol.crypto.openssl import SoftwareProvider
from protocol.events import ConnectionTerminated
from protocol.record import ContentType
from tests.protocol.certificates import authority
from tests.protocol.pair import Network, Pair, client_config, server_config
from tests.protocol.providers import Worker

SIDES = pytest.mark.parametrize("side", ["client", "server"])


class CountingProvider(SoftwareProvider):
    """Knows what is open, and fails at what it is told to: a method, of one epoch or of all."""

    def __init__(self):
        super().__init__()
        self.open = set()
        self.made = 0
        self.failing = None

    def sealer(self, keys, epoch, connection_id=b"", first=0):
        return self._watch("sealer", epoch, super().sealer(keys, epoch, connection_id, first))

    def opener(self, keys, epoch, connection_id=b"", first=0):
        return self._watch("opener", epoch, super().opener(keys, epoch, connection_id, first))

    def _watch(self, kind, epoch, worker):
        self._fail(f"make {kind}", epoch)
        name = (kind, epoch, self.made)
        self.made += 1
        self.open.add(name)
        watched = Worker(worker)
        for method in {"seal", "open", "close"} & set(dir(worker)):
            setattr(watched, method, self._wrap(name, method, getattr(worker, method)))
        return watched

    def _wrap(self, name, method, call):
        def wrapped(*arguments):
            if method == "close":
                self.open.remove(name)
            self._fail(method, name[1])
            return call(*arguments)

        return wrapped

    def _fail(self, method, epoch):
        if self.failing in ((method, epoch), (method, None)):
            raise OSError(f"the device cannot {method}")


class Counted(Pair):
    """Both providers count."""

    def __init__(self, client=None, server=None, network=None):
        self.providers = {side: CountingProvider() for side in ("client", "server")}
        super().__init__(
            client_config(provider=self.providers["client"], **(client or {})),
            server_config(provider=self.providers["server"], **(server or {})),
            network,
        )

    def assert_ended(self, side):
        assert isinstance(self.events[side][-1], ConnectionTerminated)
        assert [type(event) for event in self.events[side]].count(ConnectionTerminated) == 1
        assert self.providers[side].open == set()
        assert self.sides[side].timer() is None
        assert not self.sides[side].connected


@SIDES
def test_closing(side):
    pair = Counted.connected()
    pair.sides[side].close(pair.now)
    pair.run()
    pair.assert_ended(side)


def test_closing_in_the_middle_of_the_handshake():
    pair = Counted(network=Network(lose=lambda sender, index: sender == "server"))
    pair.run(0.5)
    pair.server.close(pair.now)
    pair.run()
    pair.assert_ended("server")


@SIDES
def test_closing_although_close_notify_cannot_be_sealed(side):
    pair = Counted.connected()
    pair.providers[side].failing = ("seal", 3)
    with pytest.raises(OSError, match="cannot seal"):
        pair.sides[side].close(pair.now)
    pair.run()
    pair.assert_ended(side)
    pair.sides[side].close(pair.now)


@SIDES
def test_closing_although_a_sealer_cannot_be_closed(side):
    pair = Counted.connected()
    pair.providers[side].failing = ("close", None)
    with pytest.raises(OSError, match="cannot close"):
        pair.sides[side].close(pair.now)
    pair.run()
    pair.assert_ended(side)


@SIDES
def test_an_alert_of_the_peer(side):
    pair = Counted.connected()
    other = "server" if side == "client" else "client"
    alert = Alert(AlertDescription.INTERNAL_ERROR).encode()
    pair.sides[other]._outbox.send(3, ContentType.ALERT, alert)
    pair.run()
    pair.assert_ended(side)


def test_a_violation_of_the_peer_ends_both():
    pair = Counted.connected()
    pair.client._outbox.send(3, ContentType.ALERT, b"")
    pair.run()
    pair.assert_ended("client")
    pair.assert_ended("server")


def test_a_violation_although_the_alert_cannot_be_sealed():
    pair = Counted.connected()
    pair.providers["server"].failing = ("seal", 3)
    pair.client._outbox.send(3, ContentType.ALERT, b"")
    pair.run()
    pair.assert_ended("server")
    assert pair.end("server").alert is None


def test_a_refused_certificate_ends_both():
    pair = Counted({"trust": (authority("Another CA").certificate,)})
    pair.run()
    pair.assert_ended("client")
    pair.assert_ended("server")


def test_a_time_out_of_the_handshake():
    pair = Counted(network=Network(lose=lambda sender, index: (sender, index) != ("client", 0)))
    pair.run()
    pair.assert_ended("server")


def test_a_time_out_of_a_key_update():
    pair = Counted.connected()
    pair.network = Network(loss=1.0)
    pair.client.update_keys(pair.now)
    pair.run()
    pair.assert_ended("client")


def test_a_key_that_may_seal_no_more(monkeypatch):
    pair = Counted.connected()
    monkeypatch.setattr(pair.client._records.sealers[3].own, "_limit", 0)
    pair.client.send(b"too much")
    pair.run()
    pair.assert_ended("client")


@SIDES
@pytest.mark.parametrize(
    "failing",
    [
        ("make sealer", 2),
        ("make sealer", 3),
        ("make opener", 3),
        ("seal", 2),
        ("open", 2),
        ("seal", 3),
        ("open", 3),
    ],
    ids=str,
)
def test_an_error_of_the_provider_comes_up_and_ends_the_connection(side, failing):
    pair = Counted()
    pair.providers[side].failing = failing

    def live():
        pair.run(5.0)
        for connection in pair.sides.values():
            connection.send(b"data")
        pair.run(5.0)

    with pytest.raises(OSError, match="the device cannot"):
        live()
    pair.run()
    pair.assert_ended(side)
    assert "the device cannot" in pair.end(side).reason


@SIDES
def test_the_peer_hears_of_an_error_of_the_provider(side):
    """RFC 8446, 6.2: internal_error."""
    pair = Counted.connected()
    other = "server" if side == "client" else "client"
    pair.providers[side].failing = ("open", 3)
    pair.sides[other].send(b"data")
    with pytest.raises(OSError, match="cannot open"):
        pair.run()
    pair.run()
    pair.assert_ended(other)
    assert pair.end(side).alert is pair.end(other).alert is AlertDescription.INTERNAL_ERROR


def test_a_client_hears_of_a_server_without_room_for_its_keys():
    pair = Counted()
    pair.providers["server"].failing = ("make sealer", 2)
    with pytest.raises(OSError, match="cannot make sealer"):
        pair.run()
    pair.run()
    pair.assert_ended("client")
    assert pair.end("client").alert is AlertDescription.INTERNAL_ERROR


@SIDES
def test_an_error_of_the_provider_at_an_update_of_the_keys(side):
    pair = Counted.connected()
    pair.providers[side].failing = ("make sealer", 4)
    pair.sides[side].update_keys(pair.now)
    with pytest.raises(OSError, match="the device cannot"):
        pair.run()
    pair.run()
    pair.assert_ended(side)


@SIDES
def test_updates_of_the_keys_leave_none_behind(side):
    pair = Counted.connected()
    for _ in range(5):
        pair.sides[side].update_keys(pair.now, request_peer=True)
        pair.run()
    assert all(len(provider.open) <= 4 for provider in pair.providers.values())
    for each in pair.sides:
        pair.sides[each].close(pair.now)
        pair.run()
        pair.assert_ended(each)
