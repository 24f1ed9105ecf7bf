"""What the pod of a diff says was a tenant's to write: whatever stands there, the answer is bounded and harmless."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.diff_summary import in_words, summary_of
from unit.plan.diff_cases import SUMMARY

COUNTS = SUMMARY["workspace"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def said(**fields: Any) -> str:
    return orjson.dumps({**SUMMARY, **fields}).decode()


def test_a_summary_is_read() -> None:
    git = {"old": {"branch": "main", "commit": COMMIT}, "new": {"branch": "agent/leads", "commit": COMMIT}}
    found = summary_of(said(git=git, unread=2))

    assert found is not None
    assert found.to_json() == {**SUMMARY, "git": git, "unread": 2}
    assert in_words(found).endswith("deleted in the workspace; 2 could not be compared")


def test_a_checkout_that_is_the_same_is_no_change() -> None:
    head = {"branch": "main", "commit": COMMIT}

    found = summary_of(said(git={"old": head, "new": head}))

    assert found is not None
    assert found.git is None


@pytest.mark.parametrize(
    ("old", "new"), [(None, {"branch": "main"}), ({"commit": COMMIT}, None)], ids=["made", "removed"]
)
def test_a_checkout_may_be_on_one_side_only(old: Any, new: Any) -> None:
    found = summary_of(said(git={key: each for key, each in (("old", old), ("new", new)) if each}))

    assert found is not None
    assert found.git is not None
    assert (found.git.old is None, found.git.new is None) == (old is None, new is None)


def test_names_are_made_harmless() -> None:
    names = ["evil\x1b[2J\u202ename=1\n", "\x00"]
    found = summary_of(said(packages={"pip": {"removed": {"count": 2, "names": names}}}))

    assert found is not None
    assert found.packages is not None
    assert found.packages["pip"].removed is not None
    assert found.packages["pip"].removed.names == ("evil [2J name=1",)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        "{}",
        said(workspace=None),
        said(workspace=COUNTS | {"added": -1}),
        said(workspace=COUNTS | {"added": 2**63}),
        said(workspace=COUNTS | {"added": "3"}),
        said(workspace=COUNTS | {"added": 1.5}),
        said(unread=True),
        said(packages={"../etc": {}}),
        said(packages={f"m{'x' * number}": {} for number in range(9)}),
        said(packages={"apt": {"added": {"count": 200, "names": ["a"] * 101}}}),
        said(git={"old": {"commit": "HEAD; rm -rf /"}}),
    ],
)
def test_what_is_no_summary_is_none(message: str) -> None:
    assert summary_of(message) is None


@given(st.text(max_size=4096))
def test_no_message_does_any_harm(message: str) -> None:
    assert summary_of(message) is None
