"""The stacks that there are peers of, what they call things, and what they cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interop.build import BORINGSSL, WOLFSSL
from protocol.key_exchange import NamedGroup


@dataclass(frozen=True)
class Stack:
    """One stack."""

    name: str
    program: Path
    #: Why it cannot take part, by feature as the table names it, or by ``feature, role of ours``.
    limits: Mapping[str, str] = field(default_factory=dict)

    def limit(self, feature: str, role: str) -> str | None:
        """Why it cannot show a feature to us in this role of ours; None if it can."""
        return self.limits.get(feature) or self.limits.get(f"{feature}, {role}")


_GROUPS = {"SECP256R1": "P-256", "SECP384R1": "P-384", "SECP521R1": "P-521"}


def named(*groups: NamedGroup) -> str:
    """The peer's option for groups; both stacks call them the same."""
    return ":".join(_GROUPS.get(group.name, group.name) for group in groups)


STACKS = {
    "wolfssl": Stack("wolfSSL 5.5.4", WOLFSSL.program),
    "boringssl": Stack("BoringSSL", BORINGSSL.program),
}
