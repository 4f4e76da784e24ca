"""Intaglio: hardware that seals datagrams."""
