"""Long lists in parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.native.storage.pages import page
from localcluster.native.storage.refusal import Refusal


@given(st.lists(st.integers()), st.integers(min_value=0, max_value=5))
def test_the_parts_are_the_whole(entries: list[int], most: int) -> None:
    found, token = page(entries, "", most)
    seen = list(found)
    while token:
        found, token = page(entries, token, most)
        assert 0 < len(found) <= most
        seen += found

    assert seen == entries


@pytest.mark.parametrize("token", ["x", "-1", "4"])
def test_a_token_that_nobody_gave_out_is_refused(token: str) -> None:
    with pytest.raises(Refusal) as refused:
        page([1, 2, 3], token, 1)

    assert refused.value.code == "ABORTED"
