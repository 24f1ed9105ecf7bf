"""One run of the canary: four pods, two answers, a verdict, and nothing left behind from any state."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import orjson

from sandkeeper.api.names import CANARY_LABEL
from sandkeeper.plan.canary import (
    DEADLINE_SECONDS,
    Surroundings,
    attempts,
    canary_pod,
    gateway_attempts,
    with_attempts,
)
from sandkeeper.plan.enforcement import Verdict, broken, judge
from sandkeeper.plan.pod_state import PodState, parse_time, state_of
from sandkeeper.runtime.errors import ApiError
from sandkeeper.runtime.informer import UNREACHABLE
from sandkeeper.runtime.resource import ENDPOINT_SLICES, PODS, SERVICES, Json, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from sandkeeper.plan.canary import CanarySettings, Part
    from sandkeeper.runtime.client import ApiClient

T = TypeVar("T")
_LOOK_SECONDS = 0.3
_CLEANING_SECONDS = 5.0
_FORGOTTEN_AFTER = timedelta(seconds=5 * DEADLINE_SECONDS)


class NothingProvenError(Exception):
    """A run that came to no end; the message says why, for a person."""


class CanaryRun:
    """Tries the fence of one namespace.

    Parameters
    ----------
    home
        The operator's namespace, where the unfenced half runs.
    tried
        The namespace whose fence is tried; it has to be there.
    gateway
        Address of the egress gateway's Service; empty where there is none.
    """

    def __init__(
        self, client: ApiClient, home: str, tried: str, settings: CanarySettings, *, gateway: str = ""
    ) -> None:
        self._client = client
        self._home = home
        self._tried = tried
        self._settings = settings
        self._gateway = gateway
        self._run = secrets.token_hex(4)

    async def verdict(self) -> Verdict:
        """Run, and clean up whatever comes.

        Raises
        ------
        ApiError
            If the apiserver fails; what it refuses becomes the verdict that the canary proves nothing.
        """
        try:
            await self._clean_up()
            async with asyncio.timeout(DEADLINE_SECONDS + 10):
                return await self._judge()
        except NothingProvenError as error:
            return broken(str(error))
        except TimeoutError:
            return broken(f"it did not end within {DEADLINE_SECONDS} s")
        except ApiError as error:
            if error.overloaded or error.conflict:
                raise
            return broken(f"the API server refused it: {error.message}"[:500])
        finally:
            await asyncio.shield(self._clean_up_quietly())

    async def _judge(self) -> Verdict:
        target, neighbour = await _both(self._listening("target"), self._listening("neighbour"))
        around = Surroundings(
            target, neighbour, await self._api(), await self._api_endpoints(), await self._node_port(), self._gateway
        )
        by_both = attempts(around, self._settings.extra_targets)
        tried = (*by_both, *gateway_attempts(around))
        pods = (with_attempts(self._pod("control"), by_both), with_attempts(self._pod("fenced"), tried))
        control, fenced = await _both(*map(self._reached, pods))
        return judge(tried, control, fenced)

    def _pod(self, part: Part) -> Json:
        where = self._home if part in {"target", "control"} else self._tried
        return canary_pod(part, where, self._tried, self._run, self._settings)

    async def _listening(self, part: Part) -> Json:
        return await self._watch(
            self._pod(part), lambda pod: state_of(pod, None).running and pod["status"].get("podIP"), "become ready"
        )

    async def _reached(self, pod: Json) -> list[str]:
        ended = await self._watch(pod, lambda pod: pod["status"].get("phase") in {"Succeeded", "Failed"}, "end")
        try:
            (container,) = ended["status"]["containerStatuses"]
            return list(orjson.loads(container["state"]["terminated"]["message"])["reached"])
        except (KeyError, ValueError, TypeError) as error:
            raise NothingProvenError(f"pod {_named(pod)} ended without an answer") from error

    async def _watch(self, pod: Json, done: Callable[[Json], object], what: str) -> Json:
        """Make a pod and look at it until it is as wanted."""
        key = key_of(await self._client.create(PODS, pod["metadata"]["namespace"], pod))
        seen = PodState("Pending", "Nothing was heard of it.")
        for _ in range(int(DEADLINE_SECONDS / _LOOK_SECONDS)):
            found = await self._client.get(PODS, *key)
            if done(found):
                return found
            if found["status"].get("phase") in {"Succeeded", "Failed"}:
                break
            seen = state_of(found, None)
            await asyncio.sleep(_LOOK_SECONDS)
        raise NothingProvenError(f"pod {_named(pod)} did not {what} within {DEADLINE_SECONDS} s ({seen.reason})")

    async def _api(self) -> tuple[str, int]:
        spec = (await self._client.get(SERVICES, "default", "kubernetes"))["spec"]
        return spec["clusterIP"], spec["ports"][0]["port"]

    async def _api_endpoints(self) -> tuple[tuple[str, int], ...]:
        try:
            found = await self._client.get(ENDPOINT_SLICES, "default", "kubernetes")
        except ApiError as error:
            if error.not_found:
                return ()
            raise
        port = found["ports"][0]["port"]
        return tuple((address, port) for each in found["endpoints"] or () for address in each["addresses"])

    async def _node_port(self) -> int:
        """Find some port that every node listens on; the first page of Services is enough of a search."""
        page = await self._client.list_page(SERVICES, params={"limit": "500"})
        ports = [port for service in page["items"] or () for port in service["spec"].get("ports") or ()]
        return next((port["nodePort"] for port in ports if port.get("nodePort") and port["protocol"] == "TCP"), 0)

    async def _clean_up(self, run: str = "") -> None:
        """Delete canary pods of this namespace: all there are, since none but us may run, or those of one run."""
        for namespace in dict.fromkeys((self._home, self._tried)):
            for pod in await _canaries(self._client, f"{CANARY_LABEL}={self._tried}", namespace):
                if pod["metadata"]["name"].endswith(run):
                    await _delete(self._client, pod)

    async def _clean_up_quietly(self) -> None:
        """Clean up after a run; what fails here, the next run of this namespace does."""
        try:
            async with asyncio.timeout(_CLEANING_SECONDS):
                await self._clean_up(self._run)
        except UNREACHABLE:
            return


async def sweep(client: ApiClient, now: datetime) -> None:
    """Delete canary pods of all namespaces that no run can be looking at any more: their operator crashed."""
    for pod in await _canaries(client, CANARY_LABEL):
        if now - parse_time(pod["metadata"]["creationTimestamp"]) > _FORGOTTEN_AFTER:
            await _delete(client, pod)


async def _canaries(client: ApiClient, selector: str, namespace: str = "") -> list[Json]:
    pages = client.list_pages(PODS, params={"labelSelector": selector}, namespace=namespace)
    return [pod async for page in pages for pod in page["items"] or ()]


async def _delete(client: ApiClient, pod: Json) -> None:
    try:
        await client.delete(PODS, *key_of(pod), uid=pod["metadata"]["uid"])
    except ApiError as error:
        if not error.not_found and not error.conflict:
            raise


async def _both(one: Coroutine[None, None, T], other: Coroutine[None, None, T]) -> tuple[T, T]:
    """Do two things at once; none of them goes on when the other one failed."""
    tasks = [asyncio.create_task(each) for each in (one, other)]
    try:
        first, second = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return first, second


def _named(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name'].rpartition('-')[0]}"
