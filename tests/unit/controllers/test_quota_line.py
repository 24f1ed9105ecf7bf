"""Who waits for a quota, and whose turn it is: the oldest first, one after the other, nobody twice a round."""

from sandkeeper.controllers.quota_line import QuotaLine
from sandkeeper.runtime.resource import Key
from sandkeeper.runtime.store import Store

OLD, YOUNG, NEW = (Key("team", name) for name in ("z-old", "a-young", "new"))
CREATED = {OLD: "2026-03-01T12:00:00Z", YOUNG: "2026-03-01T12:00:01Z", NEW: "2026-03-01T12:00:02Z"}


def line() -> tuple[QuotaLine, list[Key]]:
    """Make a line in which the two older ones wait, the younger having been told first, and what it wakes."""
    store, woken = Store(), list[Key]()
    for number, (key, created) in enumerate(CREATED.items()):
        given = {"uid": key.name, "resourceVersion": str(number + 1), "creationTimestamp": created}
        store.upsert({"metadata": {"namespace": key.namespace, "name": key.name, **given}})
    made = QuotaLine(store, woken.append)
    made.join(YOUNG)
    made.join(OLD)
    return made, woken


def test_those_that_wait_get_their_turns_by_age() -> None:
    waiting, woken = line()

    waiting.freed("team")
    assert woken == [OLD]
    waiting.passed(YOUNG)
    assert woken == [OLD], "only the one whose turn it is gives it on"
    waiting.passed(OLD)
    assert woken == [OLD, YOUNG]
    waiting.passed(YOUNG)
    assert woken == [OLD, YOUNG]


def test_a_newcomer_stands_at_the_end_while_turns_are_given() -> None:
    waiting, woken = line()
    assert not waiting.must_wait(NEW)

    waiting.freed("team")
    assert waiting.must_wait(NEW)
    assert waiting.must_wait(NEW)
    assert waiting.must_wait(YOUNG)
    assert not waiting.must_wait(OLD)
    for key in (OLD, YOUNG, NEW):
        waiting.passed(key)

    assert woken == [OLD, YOUNG, NEW]
    assert not waiting.must_wait(NEW)


def test_what_frees_meanwhile_is_another_round_for_those_who_still_wait() -> None:
    waiting, woken = line()

    waiting.freed("team")
    waiting.leave(OLD)
    waiting.passed(OLD)
    waiting.freed("team")
    waiting.passed(YOUNG)

    assert woken == [OLD, YOUNG, YOUNG]


def test_who_waits_no_more_is_not_woken_and_other_namespaces_are_left_alone() -> None:
    waiting, woken = line()

    waiting.freed("other")
    waiting.leave(OLD)
    waiting.leave(YOUNG)
    waiting.freed("team")

    assert woken == []
