"""Suites that the accelerator lacks are protected in software, connection by connection."""

from dataclasses import replace

import pytest

from driver import Counter, Device
from hdl.model import AcceleratorModel
from hdl.profile import COMPACT
from protocol.alerts import UsageError
from protocol.crypto.accelerator import AcceleratorProvider
from protocol.crypto.fallback import FallbackProvider, protector
from protocol.crypto.openssl import SoftwareProvider
from protocol.crypto.provider import TrafficKeys
from protocol.crypto.suites import DEFAULT_SUITES, CipherSuite
from sim.model_link import ModelLink
from tests.protocol.pair import Pair, client_config, server_config
from tests.protocol.providers import GCM_SUITES

ACCELERATOR = "accelerator (compact)"


class Combination:
    """An accelerator, software and the two together."""

    def __init__(self) -> None:
        self.device = Device(ModelLink(AcceleratorModel(COMPACT)))
        self.accelerator = AcceleratorProvider(self.device)
        self.software = SoftwareProvider()
        self.provider = FallbackProvider(self.accelerator, self.software)


@pytest.fixture
def both() -> Combination:
    return Combination()


def test_it_says_what_it_is(both: Combination) -> None:
    assert both.provider.name == f"{ACCELERATOR}, else software"
    assert both.provider.suites == frozenset(CipherSuite)
    assert both.provider.largest_content == COMPACT.largest_record
    assert both.provider.longest_connection_id == both.accelerator.longest_connection_id


@pytest.mark.parametrize("suite", CipherSuite, ids=lambda suite: suite.name)
def test_the_first_that_has_the_suite_protects_the_connection(
    both: Combination, suite: CipherSuite
) -> None:
    pair = Pair.connected(
        client_config(provider=both.provider, suites=(suite,)),
        server_config(suites=(suite,)),
    )
    pair.client.send(b"question")
    pair.server.send(b"answer")
    pair.run()
    pair.client.update_keys(pair.now, request_peer=True)
    pair.run()
    assert (pair.data("server"), pair.data("client")) == ([b"question"], [b"answer"])
    on_the_device = suite in GCM_SUITES
    assert pair.result("client").provider == (ACCELERATOR if on_the_device else "software")
    assert pair.result("server").provider == "software"
    idle, busy = both.accelerator, both.software
    if on_the_device:
        idle, busy = busy, idle
    assert (idle.records_sealed, idle.records_opened) == (0, 0)
    assert busy.records_sealed == pair.client.stats.records_sent - 1  # but for the ClientHello
    assert busy.records_opened == pair.client.stats.records_received - 1  # and the ServerHello
    assert both.device.stats()[Counter.RECORDS_SEALED] == both.accelerator.records_sealed


def test_connections_of_one_configuration_have_each_their_own(both: Combination) -> None:
    config = server_config(provider=both.provider)
    for suite, name in (
        (CipherSuite.TLS_CHACHA20_POLY1305_SHA256, "software"),
        (CipherSuite.TLS_AES_256_GCM_SHA384, ACCELERATOR),
        (CipherSuite.TLS_AES_128_CCM_SHA256, "software"),
    ):
        pair = Pair.connected(client_config(suites=(suite,)), config)
        assert pair.result("server").provider == name


def test_a_suite_that_nobody_has_is_refused(both: Combination) -> None:
    alone = FallbackProvider(both.accelerator)
    suite = CipherSuite.TLS_CHACHA20_POLY1305_SHA256
    keys = TrafficKeys(suite, bytes(32), bytes(12), bytes(32))
    with pytest.raises(LookupError, match="none has TLS_CHACHA20_POLY1305_SHA256"):
        alone.sealer(keys, 3)
    with pytest.raises(UsageError, match=r"what provider accelerator \(compact\) has"):
        client_config(provider=alone, suites=(suite,))


def test_combinations_may_be_combined(both: Combination) -> None:
    nested = FallbackProvider(FallbackProvider(both.accelerator), both.software)
    assert protector(nested, CipherSuite.TLS_AES_128_GCM_SHA256) is both.accelerator
    assert protector(nested, CipherSuite.TLS_AES_128_CCM_SHA256) is both.software
    assert protector(both.software, CipherSuite.TLS_AES_128_CCM_SHA256) is both.software


def test_without_software_the_default_is_what_the_device_has(both: Combination) -> None:
    assert client_config(provider=both.accelerator).suites == GCM_SUITES
    assert client_config(provider=both.provider).suites == DEFAULT_SUITES
    assert client_config().suites == DEFAULT_SUITES
    assert replace(client_config(), provider=both.accelerator).suites == GCM_SUITES


def test_short_tags_are_used_only_when_asked_for_by_name() -> None:
    """RFC 9147, 4.5.3: TLS_AES_128_CCM_8_SHA256 needs safeguards that a default cannot know of."""
    suite = CipherSuite.TLS_AES_128_CCM_8_SHA256
    assert suite not in DEFAULT_SUITES
    pair = Pair(client_config(suites=(suite,)), server_config())
    pair.run()
    assert "cipher suite" in pair.end("server").reason
    pair = Pair.connected(client_config(suites=(suite,)), server_config(suites=(suite,)))
    pair.client.send(b"")
    pair.run()
    assert pair.data("server") == [b""]
    assert len(pair.datagrams("client")[-1]) == 5 + 16
