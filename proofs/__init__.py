"""Proofs of the gateware: what holds for every input and every sequence, not for those tested.

Each module has the properties of one block, named as the block's, and each property has a broken
copy of the block that its proof must refute. `python -m proofs` runs them all.
"""
