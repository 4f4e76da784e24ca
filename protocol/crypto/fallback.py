"""Several providers as one: each suite is protected by the first of them that has it."""

from protocol.crypto.provider import CryptoProvider, Opener, Sealer, TrafficKeys
from protocol.crypto.suites import CipherSuite


class FallbackProvider:
    """A `CryptoProvider` that leaves what ``preferred`` lacks to the others, in their order.

    A connection has one suite for all its epochs, so one provider protects all its records; the
    event `HandshakeCompleted` names it. What one of them takes at most all have to do with, since a
    connection cuts its records before it knows the suite.
    """

    def __init__(self, preferred: CryptoProvider, *others: CryptoProvider) -> None:
        self._providers = (preferred, *others)
        self.name = ", else ".join(provider.name for provider in self._providers)
        self.suites: frozenset[CipherSuite] = frozenset().union(
            *(provider.suites for provider in self._providers)
        )
        self.largest_content = min(provider.largest_content for provider in self._providers)
        self.longest_connection_id = min(
            provider.longest_connection_id for provider in self._providers
        )

    def choose(self, suite: CipherSuite) -> CryptoProvider:
        """The first that has the suite; raises LookupError if none has it."""
        for provider in self._providers:
            if suite in provider.suites:
                return provider
        raise LookupError(f"{self.name}: none has {suite.name}")

    def sealer(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> Sealer:
        """A sealer of the provider that has the suite of the keys."""
        return self.choose(keys.suite).sealer(keys, epoch, connection_id, first)

    def opener(
        self, keys: TrafficKeys, epoch: int, connection_id: bytes = b"", first: int = 0
    ) -> Opener:
        """An opener of the provider that has the suite of the keys."""
        return self.choose(keys.suite).opener(keys, epoch, connection_id, first)


def protector(provider: CryptoProvider, suite: CipherSuite) -> CryptoProvider:
    """Who protects the records of a suite: one of the combined, or the provider itself."""
    if isinstance(provider, FallbackProvider):
        return protector(provider.choose(suite), suite)
    return provider
