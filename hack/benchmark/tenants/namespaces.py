"""Namespaces of tenants, ready for their first sandbox: with a service account, and a policy that is in force."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from benchmark.errors import BenchmarkError
from benchmark.nodes import namespace
from benchmark.objects import SANDBOXES, is_true
from benchmark.tenants.arms import Arm
from sandkeeper.api.names import POLICY_KIND, TEMPLATE_KIND
from sandkeeper.controllers.policies import POLICIES
from sandkeeper.controllers.templates import TEMPLATES
from sandkeeper.runtime.client import ApiClient
from sandkeeper.runtime.resource import RESOURCE_QUOTAS, SERVICE_ACCOUNTS, Json, Resource

_NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
_KINDS = {POLICY_KIND: POLICIES, TEMPLATE_KIND: TEMPLATES, RESOURCE_QUOTAS.kind: RESOURCE_QUOTAS}
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.5
_AT_ONCE = 16


async def make_namespaces(client: ApiClient, arm: Arm, names: Sequence[str]) -> None:
    """Make namespaces of a side of the comparison, and return when sandboxes can be created there.

    Raises
    ------
    BenchmarkError
        If that takes too long.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def make(name: str) -> None:
        async with turns:
            await client.create(_NAMESPACES, "", namespace(name))
            for each in arm.beside:
                metadata = each["metadata"] | {"namespace": name}
                await client.create(_KINDS[each["kind"]], name, each | {"metadata": metadata})

    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(make(name))
    # Until it is there, admission refuses every pod.
    await _all(client, SERVICE_ACCOUNTS, names, lambda account: account["metadata"]["name"] == "default")
    for each in arm.beside:
        if each["kind"] != TEMPLATE_KIND:
            name = each["metadata"]["name"]
            await _all(client, _KINDS[each["kind"]], names, partial(_in_force, name))


def _in_force(name: str, obj: Json) -> bool:
    """Tell whether a policy or a quota of a name has begun to count."""
    bounds = obj["spec"].get("hard")  # in a list, a quota does not say its kind
    begun = is_true(obj, "Ready") if bounds is None else obj["status"].get("used", {}).keys() == bounds.keys()
    return obj["metadata"]["name"] == name and begun


async def await_counting(client: ApiClient) -> None:
    """Wait until Kubernetes counts sandboxes by quotas: it looks for new kinds twice a minute.

    A quota that it saw before that it looks at again after minutes.

    Raises
    ------
    BenchmarkError
        If that takes too long.
    """
    counted = f"count/{SANDBOXES.plural}.{SANDBOXES.group}"
    probe = {"apiVersion": "v1", "kind": RESOURCE_QUOTAS.kind, "spec": {"hard": {counted: "1"}}}
    for number in range(int(_PATIENCE_SECONDS)):
        name = f"probe-{number}"
        await client.create(RESOURCE_QUOTAS, "default", probe | {"metadata": {"name": name}})
        await asyncio.sleep(1.0)
        found = await client.get(RESOURCE_QUOTAS, "default", name)
        await client.delete(RESOURCE_QUOTAS, "default", name)
        if counted in found.get("status", {}).get("used", {}):
            return
    raise BenchmarkError(f"no quota counts sandboxes after {_PATIENCE_SECONDS:.0f} s")


async def _all(client: ApiClient, resource: Resource, names: Sequence[str], ready: Callable[[Json], bool]) -> None:
    """Wait until each namespace has an object that is ready."""
    lacking = set(names)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while lacking:
                async for page in client.list_pages(resource):
                    lacking -= {each["metadata"]["namespace"] for each in page["items"] or () if ready(each)}
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise BenchmarkError(
            f"{len(lacking)} of {len(names)} namespaces have no {resource.kind} that is ready, {min(lacking)} for one"
        ) from None
