"""Faults in the gateware, to see what the tests notice and what a fault in the field could do.

`python -m mutations` changes the netlist, one place at a time. `python -m mutations.flips` turns
single bits over while records are opened.
"""
