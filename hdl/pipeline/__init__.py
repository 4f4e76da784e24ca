"""The pipelined accelerator: many records in flight, n + 2 cycles for a record of n blocks."""
