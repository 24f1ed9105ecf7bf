"""The work queue against a model of what it promises.

No key is lost, none is worked on twice at once, the earliest timer wins. No lane has more than its share in work; in
each, what came first goes first; and no lane is passed over twice by the same other one.
"""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sandkeeper.runtime.queue import WorkQueue
from unit.fakes import virtual_time

KEYS = st.sampled_from(["a1", "a2", "a3", "b1", "b2", "c1"])
SECONDS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])
BASE, MOST = 0.5, 8.0


def lane(key: str) -> str:
    return key[0]


class QueueMachine(RuleBasedStateMachine):
    """Drives the queue and keeps beside it what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.passed_by: dict[str, Counter[str]] = {}
        self.ready: list[str] = []
        self.again: set[str] = set()
        self.working: set[str] = set()
        self.timers: dict[str, float] = {}
        self.failures: dict[str, int] = {}

    @initialize(share=st.sampled_from([1, 2, 100]))
    def begin(self, share: int) -> None:
        self.share = share
        self.queue: WorkQueue[str] = WorkQueue(
            clock=lambda: self.now, base_delay=BASE, max_delay=MOST, lane=lane, share=share
        )

    def _add(self, key: str) -> None:
        if key in self.working:
            self.again.add(key)
        elif key not in self.ready:
            self.ready.append(key)
        self._count_turns()

    def _takes_turns(self, candidates: set[str]) -> set[str]:
        """Lanes of keys that may be worked on: those that have not their share in work."""
        in_work = Counter(map(lane, self.working))
        return {each for each in map(lane, candidates) if in_work[each] < self.share}

    def _count_turns(self) -> None:
        """Begin to count for the lanes that now take turns, and forget those that do not."""
        lanes = self._takes_turns(set(self.ready))
        self.passed_by = {each: self.passed_by.get(each, Counter()) for each in lanes}

    def _set_timer(self, key: str, seconds: float) -> None:
        if seconds <= 0:
            self._add(key)
        else:
            self.timers[key] = min(self.timers.get(key, float("inf")), self.now + seconds)

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self._add(key)

    @rule(key=KEYS, seconds=SECONDS)
    def add_after(self, key: str, seconds: float) -> None:
        self.queue.add_after(key, seconds)
        self._set_timer(key, seconds)

    @rule(key=KEYS, at_least=st.sampled_from([0.0, 3.0, 30.0]))
    def retry(self, key: str, at_least: float) -> None:
        failures = self.failures.get(key, 0)
        expected = max(min(BASE * 2**failures, MOST), at_least)
        assert self.queue.retry(key, at_least=at_least) == expected
        self.failures[key] = failures + 1
        self._set_timer(key, expected)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        self.queue.drop(key)
        self.failures.pop(key, None)
        self.timers.pop(key, None)

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def _fire(self) -> None:
        for key in self._due():
            del self.timers[key]
            self._add(key)

    def _due(self) -> list[str]:
        return [key for key, due in sorted(self.timers.items(), key=lambda timer: timer[1]) if due <= self.now]

    @precondition(lambda self: self._takes_turns({*self.ready, *self._due()} - self.working))
    @rule()
    def get(self) -> None:
        self._fire()
        key, waited = virtual_time.run(self.queue.get())
        assert waited >= 0
        assert lane(key) in self.passed_by, "its lane has not its share in work"
        assert key == next(each for each in self.ready if lane(each) == lane(key)), "the first of its lane"
        self._passes_over_others(lane(key))
        self.ready.remove(key)
        self.working.add(key)
        self._count_turns()

    def _passes_over_others(self, chosen: str) -> None:
        del self.passed_by[chosen]
        for counts in self.passed_by.values():
            counts[chosen] += 1
            assert counts[chosen] == 1, "each other lane is waited for once"

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.queue.done(key)
        self.working.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.ready.append(key)
        self._count_turns()

    @invariant()
    def holds_as_many_as_the_model(self) -> None:
        assert len(self.queue) == len(self.ready)
        assert self.queue.idle == (not self.ready and not self.working)

    def teardown(self) -> None:
        """Whatever was asked for comes out in the end, once."""
        for key in list(self.working):
            self.queue.done(key)
        expected = set(self.ready) | self.again | set(self.timers)
        self.now += 1000.0
        out: list[str] = []
        while expected - set(out):
            out.append(virtual_time.run(self.queue.get())[0])
            self.queue.done(out[-1])
        assert len(out) == len(set(out))
        assert self.queue.idle


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(stateful_step_count=40)
