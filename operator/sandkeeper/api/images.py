"""Patterns of image references: which images a pattern allows, in whatever way the image is spelled.

``*`` stands for any characters but ``/``, ``:`` and ``@``. Names are compared as container runtimes read them: what
begins with no registry is Docker Hub's, and what has no path there is below ``library``. The chart's admission policy
judges by the same steps, which a test compares.
"""

import re
from typing import Annotated, Final

from pydantic import Field

from .model import checks, rule

_HUB: Final = "docker.io"
_HUB_ALIASES: Final = (_HUB, "index.docker.io")
_OFFICIAL: Final = "library/"
ANY_VERSION: Final = ":*"
WITH_REGISTRY: Final = "^([^/]*[.:A-Z][^/]*|localhost)/"
"""What container runtimes take for a registry: a first part with a dot, a port or a capital, or localhost."""
WITH_VERSION: Final = "[:@][^/]*$"

_PATTERN: Final = "^[-a-z0-9._*]+(:[0-9]+/)?[-a-z0-9._*/]*(:[-a-zA-Z0-9._*]+)?(@[-a-zA-Z0-9._]+:[a-fA-F0-9*]+)?$"

ImagePattern = Annotated[
    str,
    Field(
        json_schema_extra=checks(
            rule(
                f"self.matches('{_PATTERN}') && !self.contains('//')",
                "must be an image reference in which * stands for any characters but '/', ':' and '@', in lower case, "
                "such as ubuntu:*, docker.io/library/* or registry.example.com/agents/*",
            ),
            maxLength=512,
        )
    ),
]
"""Pattern of image references, as a policy holds it."""


def allows(pattern: str, image: str) -> bool:
    """Tell whether a pattern allows an image.

    A pattern without tag and digest is of all of them, as one with the tag ``*`` is. One with another tag is of no
    image with a digest, since that alone decides what is run then.
    """
    pattern = pattern if "@" in pattern else pattern.removesuffix(ANY_VERSION)
    expression = pattern.replace(".", "[.]").replace("*", "[^/:@]*")
    if not re.search(WITH_VERSION, _after_registry(pattern)):
        expression += "(:[^/:@]+)?(@.+)?"
    hosted = re.match(WITH_REGISTRY, pattern) is not None
    return any(re.fullmatch(expression, each) for each in _spellings(image, hosted=hosted))


def _after_registry(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]


def _spellings(image: str, *, hosted: bool) -> list[str]:
    """Write an image in all ways that mean the same, with its registry or without it."""
    name, at, digest = image.partition("@")
    last = _after_registry(name)
    tag = last.partition(":")[2]
    repository = name.removesuffix(f":{tag}") if tag else name
    version = f":{tag or 'latest'}" if not digest or tag else ""
    host, path = _located(repository)
    on_hub = host == _HUB
    paths = [path, path.removeprefix(_OFFICIAL)] if on_hub and path.count("/") == 1 else [path]
    hosts = (_HUB_ALIASES if on_hub else (host,)) if hosted else ()
    names = [f"{each}/{path}" for each in hosts for path in paths] if hosted else paths if on_hub else []
    return [f"{each}{version}{at}{digest}" for each in names]


def _located(repository: str) -> tuple[str, str]:
    """Split a repository into its registry and its path there, both as runtimes read them."""
    host, path = _HUB, repository
    if re.match(WITH_REGISTRY, repository):
        host, _, path = repository.partition("/")
    if host in _HUB_ALIASES:
        return _HUB, path if "/" in path else _OFFICIAL + path
    return host, path
