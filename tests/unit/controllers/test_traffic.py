"""Gateways are asked which sandboxes have traffic; one that does not answer leaves that unknown."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import astuple
from typing import Any

import orjson
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from localcluster.ports import free_ports
from sandkeeper.controllers.metrics import TrafficMetrics
from sandkeeper.controllers.traffic import Traffic
from sandkeeper.runtime.resource import PODS
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient
from unit.waiting import until

SYSTEM = "sandkeeper-system"


class Gateways:
    """Pods of a gateway, each with an address of this machine's own and an endpoint there."""

    def __init__(self) -> None:
        self.server = FakeApiServer()
        self.registry = CollectorRegistry()
        self.port = astuple(free_ports("127.0.0.1"))[0]
        metrics = TrafficMetrics(self.registry)
        self.traffic = Traffic(FakeClient(self.server), SYSTEM, "role=gateway", self.port, 0.05, metrics)
        self.runners: list[web.AppRunner] = []

    def add_pod(self, number: int, *, ready: bool = True, phase: str = "Running", **labels: str) -> None:
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        metadata = {"name": f"gateway-{number}", "labels": {"role": "gateway"} | labels}
        made = self.server.create(PODS, SYSTEM, {"kind": "Pod", "metadata": metadata, "spec": {}})
        status = {"phase": phase, "podIP": f"127.0.1.{number}", "conditions": conditions}
        self.server.replace_status(PODS, made, status)

    async def serve(self, number: int, answer: Any) -> None:
        async def activity(request: web.Request) -> web.Response:
            assert "Authorization" not in request.headers
            return web.Response(body=orjson.dumps(answer() if callable(answer) else answer))

        app = web.Application()
        app.router.add_get("/activity", activity)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, f"127.0.1.{number}", self.port).start()
        self.runners.append(runner)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let them be asked until something is so."""
        running = asyncio.create_task(self.traffic.run())
        await until(condition)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def asked(self, answered: str) -> float | None:
        return self.registry.get_sample_value("sandkeeper_usage_gateways", {"answered": answered})


@pytest.fixture
async def gateways() -> AsyncIterator[Gateways]:
    made = Gateways()
    yield made
    for runner in made.runners:
        await runner.cleanup()


async def test_the_latest_traffic_that_any_gateway_saw_counts(gateways: Gateways) -> None:
    gateways.add_pod(1)
    gateways.add_pod(2)
    await gateways.serve(1, {"now": 1000.0, "traffic": {"a": 900.0, "b": 400.0}})
    # Its clock is years off, which is its own affair.
    await gateways.serve(2, {"now": 5.0, "traffic": {"a": -495.0, "c": 5.0}})

    await gateways.until(lambda: not gateways.traffic.trouble)

    ages = {uid: time.monotonic() - (gateways.traffic.of(uid) or 0.0) for uid in "abc"}
    assert ages == {"a": pytest.approx(100, abs=5), "b": pytest.approx(600, abs=5), "c": pytest.approx(0, abs=5)}
    assert gateways.traffic.of("d") is None
    assert gateways.traffic.trouble == ""
    assert (gateways.asked("yes"), gateways.asked("no")) == (2, 0)


async def test_what_says_nothing_new_is_no_traffic_however_often_it_is_told(gateways: Gateways) -> None:
    gateways.add_pod(1)
    told: list[float] = []

    def tell() -> object:
        told.append(1000.0 - len(told))
        return {"now": told[-1], "traffic": {"a": 500.0}}

    await gateways.serve(1, tell)
    await gateways.until(lambda: len(told) > 1)
    first = gateways.traffic.of("a")
    await gateways.until(lambda: len(told) > 5)

    assert first is not None
    assert gateways.traffic.of("a") == first


async def test_a_gateway_that_does_not_answer_leaves_it_unknown(gateways: Gateways) -> None:
    gateways.add_pod(1)
    gateways.add_pod(2)
    await gateways.serve(1, {"now": 1.0, "traffic": {"a": 1.0}})

    await gateways.until(lambda: gateways.asked("no") == 1)

    assert gateways.traffic.trouble.startswith("Egress gateway gateway-2 does not tell which sandboxes have traffic: ")
    assert gateways.traffic.of("a") is not None
    await gateways.serve(2, {"now": 1.0, "traffic": {}})
    await gateways.until(lambda: not gateways.traffic.trouble)


@pytest.mark.parametrize("nonsense", [[], {"now": "x"}, {"now": 1.0}, {"now": 1.0, "traffic": {"a": "soon"}}])
async def test_an_answer_that_cannot_be_read_is_none(gateways: Gateways, nonsense: object) -> None:
    gateways.add_pod(1)
    await gateways.serve(1, nonsense)

    await gateways.until(lambda: "gateway-1 does not tell" in gateways.traffic.trouble)

    assert gateways.traffic.of("a") is None


async def test_one_that_starts_or_has_ended_is_not_waited_for(gateways: Gateways) -> None:
    gateways.add_pod(1)
    gateways.add_pod(2, ready=False)
    gateways.add_pod(3, phase="Failed")
    gateways.add_pod(4, role="something-else")
    await gateways.serve(1, {"now": 1.0, "traffic": {}})

    await gateways.until(lambda: gateways.asked("yes") is not None)

    assert gateways.traffic.trouble == ""


async def test_without_any_gateway_it_is_unknown(gateways: Gateways) -> None:
    assert gateways.traffic.trouble == "The egress gateway has not been asked yet which sandboxes have traffic."

    await gateways.until(lambda: gateways.traffic.trouble == "No pod of the egress gateway runs.")
