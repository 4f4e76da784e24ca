"""Devices, and synthesis for them. Board tops and bitstream builds will stand here too."""
