"""An informer on a server that cuts, refuses, expires and repeats: in the end its store is the server's state."""

import asyncio
from itertools import pairwise
from random import Random
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import SECRETS, SERVICES, Json, Key, Resource, key_of, version_of
from sandkeeper.runtime.store import Store
from unit.fakes import virtual_time
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient, Faults

LABEL = "sandkeeper.dev/managed"
MANAGED = {LABEL: "true"}


class Watcher:
    """An informer, and a mirror that follows its store by nothing but what it is told.

    Parameters
    ----------
    alone
        Whether nobody else writes into the store.
    """

    def __init__(self, server: FakeApiServer, faults: Faults | None = None, *, alone: bool = True) -> None:
        self.alone = alone
        self.client = FakeClient(server, faults)
        self.store = Store(clock=virtual_time.seconds)
        self.mirror: dict[Key, Json] = {}
        self.informer = Informer(self.client, SERVICES, self.store, self._changed, label_selector=f"{LABEL}=true")
        self.task = asyncio.create_task(self.informer.run())

    def _changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        assert before != after, "it was told of a difference"
        assert not self.alone or self.mirror.get(key) == before, "and of every one before"
        if after is None:
            self.mirror.pop(key, None)
        else:
            self.mirror[key] = after

    @property
    def content(self) -> dict[Key, Json | None]:
        return {key: self.store.get(key) for key in self.store}


def act(server: FakeApiServer, what: str, name: str) -> None:
    """Change something, as far as it is there."""
    found = server.find(SERVICES, "team", name)
    if what == "compact":
        server.compact()
    elif found is None:
        server.create(SERVICES, "team", {"metadata": {"name": name, "labels": MANAGED}, "spec": {"n": 0}})
    elif what == "change":
        server.patch(SERVICES, "team", name, {"spec": {"n": found["spec"]["n"] + 1}})
    elif what == "delete":
        server.delete(SERVICES, "team", name)
    elif what == "relabel":
        label = None if LABEL in found["metadata"]["labels"] else "true"
        server.patch(SERVICES, "team", name, {"metadata": {"labels": {LABEL: label}}})


def state(server: FakeApiServer) -> dict[Key, Any]:
    return {key_of(obj): obj for obj in server.all(SERVICES) if LABEL in obj["metadata"]["labels"]}


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["change", "change", "delete", "relabel", "compact"]),
        st.sampled_from("abcde"),
        st.sampled_from([0.0, 0.0, 1.0, 30.0]),
    ),
    max_size=30,
)


@given(ACTIONS, st.integers(0, 2**32), st.sampled_from([0.0, 0.2, 0.6]), st.sampled_from([0.0, 0.5]))
def test_store_and_listener_end_as_the_server_is(
    actions: list[tuple[str, str, float]], seed: int, rate: float, latency: float
) -> None:
    async def story() -> None:
        server = FakeApiServer(virtual_time.seconds)
        watcher = Watcher(server, Faults(Random(seed), rate, latency))
        for what, name, pause in actions:
            act(server, what, name)
            await asyncio.sleep(pause)
        watcher.client.faults.rate = 0.0
        await asyncio.sleep(400.0)
        assert watcher.content == state(server)
        assert watcher.mirror == watcher.content
        assert not watcher.task.done()

    virtual_time.run(story())


@given(ACTIONS, st.integers(0, 2**32))
def test_answers_to_own_writes_may_arrive_at_any_time(actions: list[tuple[str, str, float]], seed: int) -> None:
    async def story() -> None:
        random, server = Random(seed), FakeApiServer(virtual_time.seconds)
        watcher = Watcher(server, Faults(Random(seed), 0.2, 0.5), alone=False)
        await watcher.informer.synced.wait()
        late: list[asyncio.Task[None]] = []

        async def answer(obj: Json, after: float) -> None:
            await asyncio.sleep(after)
            watcher.store.upsert(obj)

        for what, name, pause in actions:
            act(server, what, name)
            visible = state(server).get(Key("team", name))
            if visible:
                late.append(asyncio.create_task(answer(visible, random.random() * 60.0)))
            await asyncio.sleep(pause)
        watcher.client.faults.rate = 0.0
        await asyncio.sleep(400.0)
        assert watcher.content == state(server)

    virtual_time.run(story())


def test_a_quiet_watch_is_heard_of_by_its_bookmarks_and_never_lists_again() -> None:
    async def story() -> None:
        server = FakeApiServer(virtual_time.seconds)
        watcher = Watcher(server)
        act(server, "change", "a")
        for _ in range(60):
            await asyncio.sleep(60.0)
            assert watcher.informer.age < 70.0
        assert watcher.client.reads.count("list") == 1

    virtual_time.run(story())


def test_a_deletion_that_no_event_told_is_found_by_the_next_list() -> None:
    async def story() -> None:
        server = FakeApiServer(virtual_time.seconds)
        for name in "abc":
            act(server, "change", name)
        watcher = Watcher(server)
        await asyncio.sleep(1.0)
        watcher.client.faults.rate = 1.0
        act(server, "change", "a")
        await asyncio.sleep(20.0)
        act(server, "delete", "b")
        server.compact()
        watcher.client.faults.rate = 0.0
        await asyncio.sleep(60.0)
        assert set(watcher.mirror) == {Key("team", "a"), Key("team", "c")}

    virtual_time.run(story())


class Refusing(FakeClient):
    """Meets the same fault on every list or watch, and notes when it was asked."""

    def __init__(self, server: FakeApiServer, verb: str, fault: Exception) -> None:
        super().__init__(server)
        self.verb, self.fault = verb, fault
        self.asked: list[float] = []

    async def _reach(self, verb: str, subject: str) -> None:
        if verb == self.verb:
            self.asked.append(virtual_time.seconds())
            raise self.fault


def asked(verb: str, fault: Exception, within: float) -> list[float]:
    """Moments at which an informer asks a server that always refuses."""

    async def story() -> list[float]:
        client = Refusing(FakeApiServer(virtual_time.seconds), verb, fault)
        informer = Informer(client, SERVICES, Store(), lambda *_: None)
        task = asyncio.create_task(informer.run())
        await asyncio.sleep(within)
        assert not task.done()
        return client.asked

    return virtual_time.run(story())


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize(
    "fault",
    [
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
        ApiError("list", "services", 500, {}),
        ApiError("list", "services", 403, {"reason": "Forbidden"}),
        ApiError("list", "services", 410, {"reason": "Expired"}),
    ],
    ids=lambda fault: repr(fault)[:40],
)
def test_a_server_that_refuses_is_not_asked_in_a_tight_loop(verb: str, fault: Exception) -> None:
    assert 3 <= len(asked(verb, fault, within=120.0)) <= 240


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_server_that_asks_for_time_gets_it(verb: str) -> None:
    busy = ApiError(verb, "services", 429, {"reason": "TooManyRequests"}, retry_after=7.0)

    moments = asked(verb, busy, within=60.0)

    assert len(moments) >= 2
    assert min(later - earlier for earlier, later in pairwise(moments)) >= 7.0


def test_a_kind_that_a_cluster_may_do_without_is_found_once_it_is_there() -> None:
    async def story() -> None:
        server = FakeApiServer(virtual_time.seconds)
        act(server, "change", "a")
        client = Refusing(server, "list", ApiError("list", "services", 404, {"reason": "NotFound"}))
        informer = Informer(client, SERVICES, Store(), lambda *_: None, optional=True)
        task = asyncio.create_task(informer.run())
        await asyncio.sleep(61.0)
        assert informer.synced.is_set()
        assert not informer.served
        assert not informer.store

        client.verb = ""
        await asyncio.sleep(31.0)
        assert informer.served
        assert list(informer.store) == [Key("team", "a")]
        assert not task.done()

    virtual_time.run(story())


def numbered(obj: Json) -> Json:
    """Keep of an object its number alone, as stores drop what nobody reads."""
    names = {name: obj["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    return {"metadata": names, "spec": {"n": obj.get("spec", {}).get("n", 0)}}


def told_of(resource: Resource, *patches: Json, **how: Any) -> tuple[list[tuple[Any, ...]], int]:
    """Numbers before and after each change that an informer tells of, and how far behind the server its store ends."""

    async def story() -> tuple[list[tuple[Any, ...]], int]:
        server = FakeApiServer(virtual_time.seconds)
        heard: list[tuple[Any, ...]] = []
        server.create(resource, "team", {"metadata": {"name": "a"}, "spec": {"n": 0}})
        store = Store(numbered)

        def changed(_: Key, before: Json | None, after: Json | None) -> None:
            heard.append(tuple(each and each["spec"]["n"] for each in (before, after)))

        task = asyncio.create_task(Informer(FakeClient(server), resource, store, changed, **how).run())
        await asyncio.sleep(1.0)
        for patch in patches:
            server.patch(resource, "team", "a", patch)
            await asyncio.sleep(1.0)
        assert not task.done()
        kept = store.get(Key("team", "a"))
        return heard, version_of(server.get(resource, "team", "a")) - version_of(kept or {})

    return virtual_time.run(story())


NOTE: Json = {"metadata": {"finalizers": ["example.com/busy"]}}
"""What controllers write of which nothing is kept."""


def test_a_change_of_which_nothing_is_kept_is_known_and_wakes_nobody() -> None:
    heard, behind = told_of(SERVICES, NOTE, {"spec": {"n": 1}})

    assert heard == [(None, 0), (0, 1)]
    assert behind == 0
    assert told_of(SERVICES, NOTE) == ([(None, 0)], 0), "or the next write on the kept version would be refused"


def test_of_what_is_never_sent_every_write_is_news_since_nothing_but_its_version_tells() -> None:
    written: Json = {"data": {"KEY": "dHdv"}}

    assert told_of(SECRETS, written, metadata_only=True)[0] == [(None, 0), (0, 0)]
