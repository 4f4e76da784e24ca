"""Traffic secrets as lines of an SSLKEYLOGFILE (RFC 9850), for those who ask for them.

This is the one way by which a secret leaves the stack: with the lines, anyone can read the
session. A `KeyLog` is called once for each line, without its newline.
"""

from collections.abc import Callable

from protocol.key_schedule import TrafficSecrets

#: Takes one line of the key log.
KeyLog = Callable[[str], None]


def log_early(log: KeyLog, client_random: bytes, traffic: bytes, exporter: bytes) -> None:
    """The client's secret of epoch 1 and the early exporter master secret."""
    _log(log, "CLIENT_EARLY_TRAFFIC_SECRET", client_random, traffic)
    _log(log, "EARLY_EXPORTER_SECRET", client_random, exporter)


def log_handshake_traffic(log: KeyLog, client_random: bytes, secrets: TrafficSecrets) -> None:
    """The secrets of epoch 2; ``client_random`` has 32 bytes, those of the last ClientHello."""
    _log(log, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", client_random, secrets.client)
    _log(log, "SERVER_HANDSHAKE_TRAFFIC_SECRET", client_random, secrets.server)


def log_application_traffic(log: KeyLog, client_random: bytes, secrets: TrafficSecrets) -> None:
    """The secrets of epoch 3; those of later epochs follow from them."""
    _log(log, "CLIENT_TRAFFIC_SECRET_0", client_random, secrets.client)
    _log(log, "SERVER_TRAFFIC_SECRET_0", client_random, secrets.server)


def log_exporter(log: KeyLog, client_random: bytes, secret: bytes) -> None:
    """The exporter master secret."""
    _log(log, "EXPORTER_SECRET", client_random, secret)


def _log(log: KeyLog, label: str, client_random: bytes, secret: bytes) -> None:
    log(f"{label} {client_random.hex()} {secret.hex()}")
