"""Simulation of one generated design behind one interface."""
