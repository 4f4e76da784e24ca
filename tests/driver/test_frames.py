"""Frames of the serial link: what is stuffed comes out whole, whatever came before it."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver.frames import (
    CRC_BYTES,
    ESCAPE,
    FLAG,
    BoardFrame,
    BoardKind,
    HostKind,
    Status,
    Unstuffer,
    pack_host_frame,
    stuff,
)

#: Mostly what has to be escaped, and what an escape makes of it.
tricky = st.lists(
    st.sampled_from([FLAG, ESCAPE, 0x5E, 0x5D]) | st.integers(0, 255), min_size=1
).map(bytes)


@given(contents=st.lists(tricky, max_size=5), noise=st.binary(max_size=50))
def test_what_is_stuffed_comes_out_whatever_came_before(contents, noise):
    wire = noise + b"".join(map(stuff, contents))
    found = Unstuffer().feed(wire)
    assert found[len(found) - len(contents) :] == contents


@given(contents=st.lists(tricky, max_size=5), cuts=st.lists(st.integers(0, 100), max_size=5))
def test_it_does_not_matter_how_the_bytes_come(contents, cuts):
    wire = b"".join(map(stuff, contents))
    unstuffer = Unstuffer()
    ends = [*sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        found += unstuffer.feed(wire[begin:end])
    assert found == contents
    assert unstuffer.damaged == 0


@given(content=tricky, data=st.data())
def test_a_changed_bit_is_seen(content, data):
    wire = bytearray(stuff(content))
    wire[data.draw(st.integers(1, len(wire) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    unstuffer = Unstuffer()
    assert unstuffer.feed(bytes(wire)) == []
    assert unstuffer.damaged >= 1


def test_the_crc_is_that_of_rfc_1662():
    # The check value of CRC-32 for "123456789" (ITU-T V.42; the catalogue's CRC-32/ISO-HDLC).
    wire = stuff(b"123456789")
    assert wire == b"~123456789" + bytes.fromhex("2639f4cb") + b"~"
    assert zlib.crc32(b"123456789") == 0xCBF43926


def test_noise_without_a_flag_takes_no_more_memory():
    unstuffer = Unstuffer(longest=100)
    for _ in range(10):
        unstuffer.feed(bytes(1000))
    assert unstuffer.feed(bytes([FLAG]) + stuff(b"next")) == [b"next"]
    assert unstuffer.damaged == 1


def test_a_frame_to_the_board_is_kind_argument_and_packet():
    wire = pack_host_frame(HostKind.REQUEST, 0x0102, b"packet", token=5)
    assert Unstuffer().feed(wire) == [b"\x51\x01\x02packet"]
    assert len(wire) == 2 + 3 + 6 + CRC_BYTES


def test_frames_of_the_board_come_back_as_they_were():
    status = Status(1, 2, 3, 18_000_000, 4096)
    frame = BoardFrame(BoardKind.STATUS, 7, 100, 200, status.pack())
    (content,) = Unstuffer().feed(frame.pack())
    assert BoardFrame.unpack(content) == frame
    assert Status.unpack(frame.body) == status


@pytest.mark.parametrize("content", [b"", b"\x01\x02", b"\x0f\x00\x00"], ids=repr)
def test_what_no_board_sends_is_refused(content):
    with pytest.raises(ValueError, match=r"shorter|not a valid"):
        BoardFrame.unpack(content)


def test_a_status_of_another_length_is_refused():
    with pytest.raises(ValueError, match="5 bytes, not 6"):
        Status.unpack(bytes(5))
