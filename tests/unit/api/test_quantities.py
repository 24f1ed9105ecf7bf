"""Quantities are written as the apiserver would; ``tests/api/schema/test_quantities.py`` asks a real one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.quantities import canonical, parsed


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2", "2"),
        ("2000m", "2"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.1Ki", "102400m"),
        ("1000k", "1M"),
        ("1E", "1E"),
        ("1e3", "1e3"),
        ("1E6", "1e6"),
        ("10737418240", "10737418240"),
        ("1000000", "1M"),
        ("2n", "1m"),
        ("1e30", "9223372036854775807"),
        ("1e999990", "9223372036854775807"),
        ("9" * 5000, "9223372036854775807"),
    ],
)
def test_a_quantity_is_written_with_the_largest_suffix_that_leaves_it_whole(written: str, kept: str) -> None:
    assert canonical(written) == kept


@given(
    st.integers(1, 10**9),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e6"]),
)
def test_writing_keeps_the_value_and_is_final(number: int, suffix: str) -> None:
    kept = canonical(f"{number}{suffix}")

    assert parsed(kept) == parsed(f"{number}{suffix}")
    assert canonical(kept) == kept


@pytest.mark.parametrize("wrong", ["", "abc", "4GB"])
def test_what_is_no_quantity_is_an_error(wrong: str) -> None:
    with pytest.raises(ValueError, match="number format"):
        parsed(wrong)
