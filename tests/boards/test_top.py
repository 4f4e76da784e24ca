"""The board's top at its pins: what a host asks over the wire, the accelerator answers."""

from boards.top import BoardTop
from boards.virtual import CLOCK_HZ
from driver.frames import BoardKind, HostKind, pack_host_frame
from driver.messages import Completion, Opcode, Request, Status
from hdl.profile import TINY
from hdl.reports import info
from sim.uart import CompiledBoard
from tests.hdl.host_link.echo import Host


def test_info_is_answered_over_the_wire():
    with CompiledBoard(BoardTop(TINY, CLOCK_HZ)).simulate() as simulation:
        request = Request(Opcode.INFO, 0, 7).pack()
        frames = Host(simulation).exchange(pack_host_frame(HostKind.REQUEST, 1, request), 20_000)
    (frame,) = [frame for frame in frames if frame.kind is BoardKind.COMPLETION]
    completion = Completion.unpack(frame.body)
    assert (completion.request_id, completion.status) == (7, Status.OK)
    assert completion.payload == info(TINY).pack()
