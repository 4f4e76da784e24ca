from hypothesis import given
from hypothesis import strategies as st

from protocol.ranges import RangeSet

LENGTH = 40


@given(st.lists(st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 10)), max_size=12))
def test_ranges_behave_as_a_set_of_positions(pieces):
    ranges, positions = RangeSet(), set()
    for start, size in pieces:
        stop = min(start + size, LENGTH)
        ranges.add(start, stop)
        positions |= set(range(start, stop))
    everything = set(range(LENGTH))
    assert _positions(ranges.gaps(LENGTH)) == everything - positions
    assert _positions(ranges.overlaps(5, 25)) == positions & set(range(5, 25))
    assert ranges.prefix() == min(everything - positions, default=LENGTH)


def test_touching_ranges_become_one():
    ranges = RangeSet()
    ranges.add(4, 8)
    ranges.add(0, 4)
    assert len(ranges) == 1


def _positions(ranges):
    return {position for start, stop in ranges for position in range(start, stop)}
