"""The host's way to the accelerator on a board: packets over the two wires of a UART."""
