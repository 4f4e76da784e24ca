"""The DTLS 1.3 protocol, sans-IO: bytes and the time in, bytes and events out."""
