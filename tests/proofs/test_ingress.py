"""What is assumed of the packets of `Ingress` leaves all kinds of requests possible."""

from pathlib import Path

import pytest
from amaranth.hdl import Assert

from driver.messages import Opcode, Status
from hdl.profile import FAST
from proofs.ingress import Packets
from proofs.property import Verdict
from proofs.smt import Induction


class Never(Packets):
    """No request of this kind is accepted with a text of more than two blocks."""

    def __init__(self, opcode: Opcode):
        super().__init__(FAST)
        self._opcode = opcode

    def promise(self, m):
        requests = self._block.requests
        accepted = requests.valid & (requests.payload.status == Status.OK)
        this = accepted & (requests.payload.echo.opcode == self._opcode)
        m.d.comb += Assert(~this | (requests.payload.text_bytes <= 32), "there is none")


@pytest.mark.parametrize("opcode", [Opcode.SEAL, Opcode.OPEN, Opcode.AEAD_OPEN, Opcode.LOAD])
def test_a_long_request_is_accepted(opcode: Opcode, tmp_path: Path) -> None:
    finding = Induction(within=16, cut=("w:*words*",)).refute(Never(opcode), tmp_path)
    assert finding.verdict is Verdict.FAILS
    assert finding.detail.startswith("there is none")
