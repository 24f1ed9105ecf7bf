"""A merge patch is the smallest one that leads from one state to the other, by the rules of RFC 7386."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.writes import merge_patch
from unit.fakes.merge import apply_merge_patch

# No numbers beside booleans: Python takes 1 and True for equal, and no field of ours can be both.
_LEAVES = st.text(max_size=3) | st.booleans()
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), _VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_applying_the_patch_to_the_one_gives_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert apply_merge_patch(before, merge_patch(before, after)) == after


@given(OBJECTS)
def test_equal_states_need_no_patch(state: dict[str, Any]) -> None:
    assert merge_patch(state, dict(state)) == {}


@given(OBJECTS, OBJECTS)
def test_no_field_stands_in_the_patch_that_is_the_same_in_both(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = merge_patch(before, after)

    assert not [name for name in patch if name in before and name in after and before[name] == after[name]]
    assert not [name for name in patch if name not in before and name not in after]
