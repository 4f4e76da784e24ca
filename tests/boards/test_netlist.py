"""The netlist after synthesis passes the cocotb tests of the RTL.

By default some of them run on `tiny` in ECP5 cells, and on one netlist that is broken on purpose.
`make netlist` runs all of them on `tiny` in the cells of either family, and on `compact`; and some
on another broken one.
"""

import os
import re
from collections.abc import Callable

import pytest

from boards.devices import find_device
from boards.netlist import synthesise_netlist
from boards.synthesis import synthesis_options
from hdl.accelerator import Accelerator
from hdl.packet_stream import AXI4StreamTop
from hdl.profile import PROFILES
from tests.boards.netlists import simulate_netlist

FULL = os.environ.get("INTAGLIO_NETLIST") == "full"
ALL = [("tiny", "up5k"), ("tiny", "ecp5-25k"), ("compact", "ecp5-25k")]
SAMPLE = [("tiny", "ecp5-25k")]

TESTS = "cocotb_tests.test_accelerator"
SEALED = "the_protocol_opens.*form=3"
#: What runs if not all of them do: SEAL, OPEN and its refusals, LOAD, ZEROIZE.
SOME = f"{SEALED}|it_opens_and_refuses.*together=False|slots_refuse|zeroized|last_number"


@pytest.fixture(scope="module")
def netlist_of(tmp_path_factory) -> Callable[[str, str], str]:
    """The Verilog of a profile in the cells of a device, synthesised once."""
    netlists = {}

    def synthesise(profile: str, device: str) -> str:
        if (profile, device) not in netlists:
            chosen, platform = PROFILES[profile], find_device(device)
            netlists[profile, device] = synthesise_netlist(
                lambda: AXI4StreamTop(Accelerator(chosen)),
                platform,
                tmp_path_factory.mktemp("netlist"),
                synthesis_options(chosen, platform),
            )
        return netlists[profile, device]

    return synthesise


def run(netlist: str, profile: str, device: str, tests: str | None, name: str = "good") -> None:
    simulate_netlist(
        netlist,
        find_device(device),
        TESTS,
        f"netlist-{profile}-{device}-{name}",
        {"INTAGLIO_PROFILE": profile} | ({} if FULL else {"INTAGLIO_OPENING_ROUNDS": "1"}),
        tests,
    )


@pytest.mark.parametrize(("profile", "device"), ALL if FULL else SAMPLE)
def test_the_netlist_passes_the_tests_of_the_rtl(netlist_of, profile, device):
    run(netlist_of(profile, device), profile, device, None if FULL else SOME)


def with_one_bit_of_a_look_up_table(netlist: str) -> str:
    """One entry of one table in the AES core is wrong."""
    pattern = r"(  LUT4 #\(\n    \.INIT\(16'h)(\w{4})(\)\n  \) \\\S*\.aes\.)"
    broken, count = re.subn(
        pattern, lambda match: f"{match[1]}{int(match[2], 16) ^ 1:04x}{match[3]}", netlist, count=1
    )
    assert count == 1
    return broken


def without_a_write_enable(netlist: str) -> str:
    """One block RAM is never written."""
    pattern = r"(  DP16KD #\((?:(?!\n  \);).)*?\.WEA\()(?!1'h0)[^()]*(\))"
    broken, count = re.subn(pattern, r"\g<1>1'h0\2", netlist, count=1, flags=re.DOTALL)
    assert count == 1
    return broken


BROKEN = [with_one_bit_of_a_look_up_table, without_a_write_enable]


@pytest.mark.parametrize("broken", BROKEN if FULL else BROKEN[:1])
def test_a_netlist_that_is_broken_on_purpose_fails_them(netlist_of, broken):
    (case,) = SAMPLE
    with pytest.raises(pytest.fail.Exception, match=r"\*\* TESTS=\d+ PASS=\d+ FAIL=[1-9]"):
        run(broken(netlist_of(*case)), *case, SEALED, broken.__name__)
