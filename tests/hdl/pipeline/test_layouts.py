"""What the widths of the pipeline's layouts have to hold."""

from hdl.pipeline.accelerator import DEPTHS
from hdl.pipeline.layouts import Ticket


def test_all_requests_under_way_have_different_tickets():
    numbers = 1 << Ticket["number"].width
    assert all(depths.in_flight < numbers for depths in DEPTHS.values())
