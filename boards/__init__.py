"""Devices and synthesis for them; boards, their tops and bitstreams; virtual boards."""
