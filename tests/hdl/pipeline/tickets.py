"""Tickets of requests (`hdl.pipeline.layouts.Ticket`), as tests set them."""

__all__ = ["NUMBERS", "as_dict", "ticket_of", "void"]

#: Numbers wrap at this.
NUMBERS = 128


def ticket_of(number: int, opening: bool) -> dict[str, int]:
    """The ticket of the request that has this number, counted from reset."""
    return {"number": number % NUMBERS, "opening": int(opening)}


def void(ticket: dict[str, int]) -> dict[str, int]:
    """With all bits inverted."""
    return {"number": NUMBERS - 1 - ticket["number"], "opening": 1 - ticket["opening"]}


def as_dict(ticket) -> dict[str, int]:
    """One that the simulator has sampled."""
    return {"number": ticket.number, "opening": ticket.opening}
