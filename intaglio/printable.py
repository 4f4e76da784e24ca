"""Text of others on a terminal: a name in a certificate, or what a peer says."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text without what controls a terminal, but for newlines and tabs."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
