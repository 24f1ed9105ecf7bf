"""How big a volume is to be, and what it is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.native.storage.records import SAFE_NAME, Wanted, id_of
from localcluster.native.storage.refusal import Refusal


@pytest.mark.parametrize(
    ("wanted", "size"),
    [(Wanted(), 100), (Wanted(least=7), 7), (Wanted(least=700), 700), (Wanted(most=50), 50), (Wanted(30, 50), 30)],
)
def test_a_volume_is_as_big_as_asked_for_or_as_usual(wanted: Wanted, size: int) -> None:
    assert wanted.size(default=100) == size


def test_a_size_that_nothing_has_is_refused() -> None:
    with pytest.raises(Refusal, match="at least 9 and at most 3 bytes") as refused:
        Wanted(least=9, most=3).size(default=5)

    assert refused.value.code == "OUT_OF_RANGE"


@given(st.text(min_size=1, max_size=200))
def test_an_id_is_safe_as_a_files_name_whatever_was_asked_for(name: str) -> None:
    assert SAFE_NAME.fullmatch(id_of(name))


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_two_names_never_share_an_id(one: str, other: str) -> None:
    assert (id_of(one) == id_of(other)) == (one == other)


def test_a_claims_volume_is_called_as_kubernetes_calls_it() -> None:
    assert id_of("pvc-27178552-4ea0") == "pvc-27178552-4ea0"
    assert id_of("../../etc") != "../../etc"
