"""Secrets in a pod: always by reference, so that no value of one is ever in what the operator reads or writes.

What a kubelet says of one that is not there names objects and keys, never values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import SECRETS_ANNOTATION
from sandkeeper.api.secrets import FILES
from sandkeeper.plan.pod_volumes import LOGIN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandkeeper.api.environment import Environment
    from sandkeeper.api.secrets import EffectiveSecret

Json = dict[str, Any]

_READABLE: Final = 0o440
"""By root and by the pod's group, which is the sandbox's user without root, and whom an image may run as."""
_NOT_FOUND: Final = re.compile(r'secret "([^"]+)" not found')
_NO_VARIABLE: Final = re.compile(r"couldn't find key (\S+) in Secret \S+/(\S+)")
_NO_FILE: Final = re.compile(r'volume "([^"]+)" : references non-existent secret key: (\S+)')


def environment_variables(environment: Environment) -> list[Json]:
    """Render the variables of a sandbox: what ``env`` sets, after keys of Secrets that it does not set.

    They come first, so that the values of ``env`` can refer to them. Of two Secrets that give the same variable the
    last one counts, as among whole Secrets (core/v1 Container.envFrom).
    """
    own = [variable.to_json() for variable in environment.env]
    taken = {variable["name"] for variable in own}
    given = {
        f"{secret.prefix}{key}": {"secretKeyRef": {"name": secret.name, "key": key}}
        for secret in environment.secrets
        if secret.form != FILES
        for key in secret.keys
    }
    return [*({"name": name, "valueFrom": source} for name, source in given.items() if name not in taken), *own]


def whole_secrets(environment: Environment) -> list[Json]:
    """Render the Secrets all of whose keys are variables; any other variable of the same name counts before them."""
    return [
        {**({"prefix": secret.prefix} if secret.prefix else {}), "secretRef": {"name": secret.name}}
        for secret in environment.secrets
        if secret.form != FILES and not secret.keys
    ]


def secret_volumes(environment: Environment) -> list[Json]:
    """Render the volumes that hold Secrets as files."""
    return [{"name": volume, "secret": _files(secret)} for volume, secret in _mounted(environment).items()]


def secret_mounts(environment: Environment) -> list[Json]:
    """Render where the container has them; a mount is outside of what is ever packed."""
    return [
        {"name": volume, "mountPath": secret.mount_path, "readOnly": True}
        for volume, secret in _mounted(environment).items()
    ]


def has_files(environment: Environment) -> bool:
    """Whether any Secret is mounted."""
    return any(secret.form == FILES for secret in environment.secrets)


def sources_of_values(environment: Environment) -> Json:
    """Say by what names values of Secrets are in a sandbox, so that its guest tells none; empty for none.

    Of a Secret that is taken whole nobody here knows the keys: whatever begins with its prefix may be one, but for
    variables that are known to be something else.
    """
    referred = {each.name: each.value_from is not None and each.value_from.secret_key_ref for each in environment.env}
    named = {f"{secret.prefix}{key}" for secret in environment.secrets if secret.form != FILES for key in secret.keys}
    prefixes = {each.get("prefix", "") for each in whole_secrets(environment)}
    login = {LOGIN_FOLDER} if environment.git and environment.git.credentials_secret else set()
    sources = {
        "variables": named - referred.keys() | {name for name, key in referred.items() if key},
        "prefixes": prefixes,
        "plain": {name for name, key in referred.items() if not key and name.startswith(tuple(prefixes))},
        "folders": {secret.mount_path for secret in environment.secrets if secret.form == FILES} | login,
    }
    return {name: sorted(each) for name, each in sources.items() if each}


def secrets_annotation(environment: Environment, versions: Mapping[str, str]) -> dict[str, str]:
    """Annotation that remembers with which Secrets a pod starts; empty where it is replaced for none.

    Parameters
    ----------
    versions
        Of the Secrets that are there, by name.
    """
    noted = {secret.name: versions.get(secret.name, "") for secret in environment.secrets if secret.restarts}
    return {SECRETS_ANNOTATION: orjson.dumps(noted, option=orjson.OPT_SORT_KEYS).decode()} if noted else {}


def noted_secrets(pod: Json) -> dict[str, str]:
    """Read with which versions of Secrets a pod started, by name, of those that it is replaced for."""
    try:
        noted = orjson.loads(pod["metadata"].get("annotations", {}).get(SECRETS_ANNOTATION, "{}"))
    except orjson.JSONDecodeError:
        # Whoever breaks the note gets a new pod, and nothing else.
        return {}
    return noted if isinstance(noted, dict) else {}


def changed_secret(pod: Json, desired: Json) -> str:
    """Name of a Secret that was written since a pod started; empty for none.

    One that is gone is no reason: the pod has what it needs, and another one could not start.
    """
    before, after = noted_secrets(pod), noted_secrets(desired)
    return next((name for name, version in after.items() if version and before.get(name) != version), "")


def missing_variable(said: str) -> str:
    """Sentence on the Secret or key that a kubelet misses for a variable; empty where it says nothing of the kind."""
    found = _NO_VARIABLE.search(said)
    return _without_key(found[2], found[1]) if found else _without_secret(said)


def missing_file(said: str, environment: Environment) -> str:
    """Sentence on the Secret or key that a kubelet misses for a volume; empty where it says nothing of the kind."""
    found = _NO_FILE.search(said)
    secret = _mounted(environment).get(found[1]) if found else None
    return _without_key(secret.name, found[2]) if found and secret else _without_secret(said)


def _without_secret(said: str) -> str:
    found = _NOT_FOUND.search(said)
    return f"Secret {found[1]} is not there; the start goes on once it is." if found else ""


def _without_key(name: str, key: str) -> str:
    return f"Secret {name} has no key {key}; the start goes on once it has."


def _mounted(environment: Environment) -> dict[str, EffectiveSecret]:
    """Secrets that are mounted, by the names of their volumes."""
    files = (secret for secret in environment.secrets if secret.form == FILES)
    return {f"secret-{number}": secret for number, secret in enumerate(files)}


def _files(secret: EffectiveSecret) -> Json:
    rendered: Json = {"secretName": secret.name, "optional": False, "defaultMode": _READABLE}
    if secret.keys:
        rendered["items"] = [{"key": key, "path": key} for key in secret.keys]
    return rendered
