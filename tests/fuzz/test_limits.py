"""All fuzz tests together keep to the time that they are given."""

from pathlib import Path

from tests.fuzz.limits import ALL_SECONDS, SHARES, TESTS


def test_every_kind_has_its_share_of_the_time():
    found = {
        file.stem.removeprefix("test_"): file.read_text().count("\ndef test_")
        for file in Path(__file__).parent.glob("test_*.py")
        if file != Path(__file__)
    }
    assert found == TESTS
    assert set(SHARES) == set(TESTS)
    assert sum(SHARES.values()) < ALL_SECONDS
