"""What can go wrong in building and running a simulation."""

__all__ = ["SimulationError"]


class SimulationError(Exception):
    """A model could not be built, loaded or run; the text is one sentence for the user."""
