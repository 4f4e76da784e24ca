"""Live sessions with DTLS 1.3 stacks that nobody here wrote: `make interop`."""
