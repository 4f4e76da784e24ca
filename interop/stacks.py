"""The stacks that there are peers of, what they call things, and what they cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interop.build import BORINGSSL, WOLFSSL
from interop.credentials import RSA_PSS
from protocol.key_exchange import NamedGroup
from tests.protocol.certificates import ML_DSA_KINDS


@dataclass(frozen=True)
class Stack:
    """One stack."""

    name: str
    program: Path
    #: The options of a server of its that asks for no cookie.
    without_cookie: Mapping[str, object] = field(default_factory=dict)
    #: Why it cannot take part, by feature as the table names it, or by ``feature, role of ours``.
    limits: Mapping[str, str] = field(default_factory=dict)

    def limit(self, feature: str, role: str) -> str | None:
        """Why it cannot show a feature to us in this role of ours; None if it can."""
        return self.limits.get(feature) or self.limits.get(f"{feature}, {role}")


_GROUPS = {"SECP256R1": "P-256", "SECP384R1": "P-384", "SECP521R1": "P-521"}


def named(*groups: NamedGroup) -> str:
    """The peer's option for groups; both stacks call them the same."""
    return ":".join(_GROUPS.get(group.name, group.name) for group in groups)


def _certificates(reason: str, *kinds: str) -> dict[str, str]:
    """Why there are no certificates with such keys, for servers or for clients."""
    features = [f"{side} certificate {kind}" for side in ("server", "client") for kind in kinds]
    return dict.fromkeys(features, reason)


_NO_MLKEM = "it is older than ML-KEM"
_WOLFSSL_LIMITS = {
    **_certificates("it is older than ML-DSA", *ML_DSA_KINDS),
    **_certificates("its CertificateVerify has rsa_pss_rsae schemes only", RSA_PSS),
    "group X25519MLKEM768": _NO_MLKEM,
    "asyncio server and a hello in fragments": _NO_MLKEM,
    "early data rejected by a retry, client": "its servers then accept what is no longer offered",
    "exported keying material": "its exporter refuses every version but that of TLS 1.3",
}
_NO_COOKIES = "its servers ask for no cookie"
_NO_IDS = "it has no connection IDs"
_IMPORTED = "it has imported PSKs only (RFC 9258)"
_NO_EARLY_DATA = "it has no early data in DTLS"
_NO_CCM = "it has no CCM"
_BORINGSSL_LIMITS = {
    **_certificates("it has no id-RSASSA-PSS keys", RSA_PSS),
    "suite TLS_AES_128_CCM_SHA256": _NO_CCM,
    "suite TLS_AES_128_CCM_8_SHA256": _NO_CCM,
    "retry for a cookie": _NO_COOKIES,
    "retry for a cookie and another group": _NO_COOKIES,
    "connection ids both": _NO_IDS,
    "connection ids ours": _NO_IDS,
    "connection ids theirs": _NO_IDS,
    "connection ids and key updates": _NO_IDS,
    "asyncio server with an external psk": _IMPORTED,
    "external psk": _IMPORTED,
    "external psk without key exchange": _IMPORTED,
    "external psk and retry for another group": _IMPORTED,
    "early data": _NO_EARLY_DATA,
    "early data rejected by a retry": _NO_EARLY_DATA,
}

STACKS = {
    "wolfssl": Stack("wolfSSL 5.5.4", WOLFSSL.program, {"cookie": 0}, _WOLFSSL_LIMITS),
    "boringssl": Stack("BoringSSL", BORINGSSL.program, {}, _BORINGSSL_LIMITS),
}
