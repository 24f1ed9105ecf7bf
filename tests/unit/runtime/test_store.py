"""The store against a history of the server: whatever comes late, twice or not at all, it ends as the server is."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.runtime.resource import Json, Key, key_of, version_of
from sandkeeper.runtime.store import Store

NAMES = ("a", "b")
OPERATIONS = st.tuples(st.sampled_from(NAMES), st.sampled_from(["write", "write", "delete", "hide"]))


def thing(name: str, uid: str, version: int) -> Json:
    return {"metadata": {"namespace": "team", "name": name, "uid": uid, "resourceVersion": str(version)}}


@dataclass
class History:
    """What happened to two objects; one that is hidden left the label selector, and comes back with its next write."""

    events: list[tuple[str, Json]] = field(default_factory=list)
    states: list[dict[Key, Json]] = field(default_factory=lambda: [{}])
    _uids: dict[str, str] = field(default_factory=dict)

    def happen(self, name: str, operation: str) -> None:
        version = len(self.states)
        uid = self._uids.get(name)
        key, state = Key("team", name), dict(self.states[-1])
        if operation == "write":
            uid = self._uids.setdefault(name, f"{name}-{version}")
            self.events.append(("MODIFIED" if key in state else "ADDED", thing(name, uid, version)))
            state[key] = self.events[-1][1]
        elif key in state:
            self.events.append(("DELETED", thing(name, str(uid), version)))
            del state[key]
            if operation == "delete":
                del self._uids[name]
        else:
            return
        self.states.append(state)

    @property
    def answers(self) -> list[Json]:
        """Every state that an answer to a write of ours may carry, however late."""
        return [obj for kind, obj in self.events if kind != "DELETED"]


def told(store: Store, kind: str, obj: Json) -> bool:
    """Apply a watch event as an informer does."""
    if kind == "DELETED":
        return store.remove(key_of(obj), obj["metadata"]["uid"], version_of(obj))
    return store.upsert(obj)


def content(store: Store) -> dict[Key, Any]:
    return {key: store.get(key) for key in store}


def deliver(store: Store, history: History, seen: int, step: str, which: int) -> int:
    """Let one thing arrive, and check that the store says truly whether it changed; gives what is seen by then."""
    before, last = content(store), len(history.events)
    if step == "list":
        seen += which % (last - seen + 1)
        assert (store.replace(history.states[seen].values(), seen) != set()) == (content(store) != before)
    elif step == "watch" and seen < last:
        assert told(store, *history.events[seen]) == (content(store) != before)
        seen += 1
    elif step == "duplicate" and seen:
        assert told(store, *history.events[which % seen]) == (content(store) != before)
    elif step == "answer" and history.answers:
        assert store.upsert(history.answers[which % len(history.answers)]) == (content(store) != before)
    return seen


STEPS = st.lists(st.tuples(st.sampled_from(["watch", "list", "answer", "duplicate"]), st.integers(0, 50)), max_size=25)


@given(st.lists(OPERATIONS, max_size=14), STEPS, st.sampled_from(["watch", "list"]), STEPS)
def test_it_converges_to_the_newest_whatever_the_order(
    operations: list[tuple[str, str]], steps: list[tuple[str, int]], end: str, late: list[tuple[str, int]]
) -> None:
    history, store = History(), Store()
    for operation in operations:
        history.happen(*operation)

    seen = deliver(store, history, 0, "list", 0)
    for step in steps:
        seen = deliver(store, history, seen, *step)
    while seen < len(history.events):
        seen = deliver(store, history, seen, end, len(history.events) - seen)
    for step in late:
        deliver(store, history, seen, *step)

    assert content(store) == history.states[-1]


@given(st.permutations(range(1, 7)))
def test_the_newest_wins_in_any_order(versions: list[int]) -> None:
    store = Store()
    for version in versions:
        store.upsert(thing("a", "uid", version))

    assert version_of(store.get(Key("team", "a")) or {}) == 6


def test_a_deleted_incarnation_stays_deleted_and_a_new_one_may_come() -> None:
    store, key = Store(), Key("team", "a")
    store.upsert(thing("a", "old", 1))
    store.remove(key, "old")

    assert not store.upsert(thing("a", "old", 99))
    assert store.buried("old")
    assert store.upsert(thing("a", "new", 2))
    assert not store.remove(key, "old"), "a late deletion of the former leaves the new one alone"
    assert key in store


def test_an_incarnation_whose_deletion_was_missed_does_not_come_back_after_its_successor() -> None:
    store, key = Store(), Key("team", "a")
    store.upsert(thing("a", "old", 1))
    store.upsert(thing("a", "new", 5))
    store.remove(key, "new")

    assert not store.upsert(thing("a", "old", 2))
    assert key not in store


def test_an_object_that_leaves_the_label_selector_may_come_back() -> None:
    store, key = Store(), Key("team", "a")
    store.upsert(thing("a", "uid", 1))
    store.remove(key, "uid", 2)

    assert not store.upsert(thing("a", "uid", 1)), "an answer from before it left is late"
    assert store.upsert(thing("a", "uid", 3))


def test_an_answer_from_before_a_list_that_lacks_the_object_is_late() -> None:
    store = Store()
    store.replace([], 10)

    assert not store.upsert(thing("a", "uid", 9))
    assert store.upsert(thing("b", "uid-b", 11))


def test_a_list_reports_what_it_changed_deletions_included_and_leaves_what_is_newer() -> None:
    store = Store()
    for name, version in (("gone", 1), ("same", 2), ("older", 3), ("newer", 12)):
        store.upsert(thing(name, f"uid-{name}", version))

    changed = store.replace(
        [thing("same", "uid-same", 2), thing("older", "uid-older", 9), thing("fresh", "uid-fresh", 8)], 10
    )

    assert {key.name for key in changed} == {"gone", "older", "fresh"}
    assert {key.name for key in store} == {"same", "older", "newer", "fresh"}
    assert store.buried("uid-gone")


def test_graves_are_cleared_once_no_answer_can_be_late_any_more() -> None:
    now = 0.0
    store = Store(clock=lambda: now)
    for number in range(100):
        store.remove(Key("team", "a"), f"uid-{number}")
        now += 60.0

    assert [number for number in range(100) if store.buried(f"uid-{number}")] == list(range(89, 100))


def test_keys_are_found_by_namespace_and_can_be_removed_while_going_over_them() -> None:
    store = Store()
    for namespace, name in (("one", "a"), ("one", "b"), ("two", "a")):
        obj = thing(name, f"{namespace}-{name}", 1)
        obj["metadata"]["namespace"] = namespace
        store.upsert(obj)

    for key in store.in_namespace("one"):
        store.remove(key, f"one-{key.name}")

    assert list(store.in_namespace("one")) == []
    assert list(store.in_namespace("two")) == [Key("two", "a")]


def test_what_nobody_reads_is_not_kept() -> None:
    store = Store(lambda obj: {"metadata": obj["metadata"]})
    store.upsert({**thing("a", "uid", 1), "spec": {"large": "x" * 1000}})

    assert store.get(Key("team", "a")) == thing("a", "uid", 1)


def test_who_refers_to_a_name_is_found_for_as_long_as_it_does() -> None:
    store = Store(refers=lambda obj: obj.get("names", ()))
    first, second = Key("team", "a"), Key("team", "b")
    store.upsert({**thing("b", "uid-b", 1), "names": ["x"]})
    store.upsert({**thing("a", "uid-a", 2), "names": ["x", "y"]})
    assert list(store.referring(Key("team", "x"))) == [first, second]

    store.upsert({**thing("a", "uid-a", 3), "names": ["y"]})
    store.remove(second, "uid-b")

    assert list(store.referring(Key("team", "x"))) == []
    assert list(store.referring(Key("team", "y"))) == [first]
    assert list(store.referring(Key("other", "y"))) == []
