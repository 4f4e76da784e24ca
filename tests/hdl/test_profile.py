"""What a profile promises follows from its parameters, whatever they are."""

import pytest
from amaranth.hdl import Fragment

from driver.messages import (
    AEAD_PREFIX_BYTES,
    CONNECTION_ID_BYTES,
    HEADER_BYTES,
    INFO_BYTES,
    RECORD_NUMBER_BYTES,
    TAG_BYTES,
    Counter,
)
from hdl.ghash import GHASH
from hdl.profile import PROFILES, Profile
from hdl.reports import info


@pytest.mark.parametrize("largest_record", [64, 65, 100, 128, 256, 512, 1000, 1 << 14])
def test_content_of_the_largest_record_fits_every_request(largest_record):
    profile = Profile("p", largest_record=largest_record)
    header_bytes = 1 + CONNECTION_ID_BYTES + 2 + 2
    assert profile.largest_seal == largest_record + 1
    assert profile.largest_open == header_bytes + profile.largest_seal + TAG_BYTES


def test_a_request_of_any_length_finds_room_in_an_empty_buffer():
    """Else it would wait for ever. All lengths of records, as powers of two are the edges."""
    for largest_record in range(64, (1 << 14) + 1):
        profile = Profile("p", largest_record=largest_record)
        completions = {
            "INFO": INFO_BYTES,
            "STATS": 8 * len(Counter),
            "SEAL": 1 + CONNECTION_ID_BYTES + 2 + 2 + profile.largest_seal + TAG_BYTES,
            "OPEN": RECORD_NUMBER_BYTES + profile.largest_open - TAG_BYTES,
            "AEAD_SEAL": profile.largest_aead - AEAD_PREFIX_BYTES + TAG_BYTES,
            "AEAD_OPEN": profile.largest_aead - AEAD_PREFIX_BYTES,
        }
        longest = HEADER_BYTES + max(completions.values())
        assert longest <= profile.largest_completion <= profile.release_bytes
        assert max(completions.values()) <= 0xFFFF
        assert profile.release_bytes.bit_count() == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("name", ["", "nine long", "größe"]),
        ("slots", [1, (1 << 15) + 1]),
        ("largest_record", [63, (1 << 14) + 1]),
        ("window", [1, (1 << 10) + 1]),
        ("ghash_digit", [0, 3, 16, 128]),
        ("seal_limit", [0, 23_726_567]),
        ("forgery_limit", [0, (1 << 36) + 1]),
        ("build", [-1, 1 << 32]),
    ],
)
def test_a_parameter_out_of_its_range_is_named(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name} is {value!r}"):
            Profile(**{"name": "p"} | {name: value})


def test_the_multiplier_takes_every_digit_that_a_profile_may_have():
    for digit in (1, 2, 4, 8):
        Fragment.get(GHASH(Profile("p", ghash_digit=digit).ghash_digit), None)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_info_tells_of_every_profile(profile):
    assert PROFILES[profile.name] is profile
    assert info(profile).profile == profile.name
    assert info(profile).build == 0
    assert len(info(profile).pack()) == INFO_BYTES
