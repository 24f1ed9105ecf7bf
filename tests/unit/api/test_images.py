"""Which images a pattern of a policy allows, in whatever way a cunning tenant spells them."""

import pytest

from sandkeeper.api.images import allows

DIGEST = f"@sha256:{'a' * 64}"

ALLOWED = [
    ("ubuntu:*", "ubuntu"),
    ("ubuntu:*", "ubuntu:22.04"),
    ("ubuntu:*", "library/ubuntu:22.04"),
    ("ubuntu:*", "docker.io/ubuntu:22.04"),
    ("ubuntu:*", "docker.io/library/ubuntu:22.04"),
    ("ubuntu:*", "index.docker.io/library/ubuntu"),
    ("ubuntu:*", f"ubuntu{DIGEST}"),
    ("ubuntu:*", f"ubuntu:22.04{DIGEST}"),
    ("ubuntu", "docker.io/library/ubuntu:22.04"),
    ("ubuntu:22.*", "ubuntu:22.04"),
    ("ubuntu:latest", "ubuntu"),
    (f"ubuntu{DIGEST}", f"docker.io/library/ubuntu{DIGEST}"),
    ("ubuntu:22.04@sha256:*", f"ubuntu:22.04{DIGEST}"),
    ("docker.io/library/*", "python:3.13"),
    ("docker.io/*", "python:3.13"),
    ("index.docker.io/library/*", "python"),
    ("library/*", "python"),
    ("team*/x", "teamwork/x:1"),
    ("registry.example.com/agents/*", "registry.example.com/agents/base:1"),
    ("registry.example.com/agents/*", f"registry.example.com/agents/base{DIGEST}"),
    ("registry.example.com:5000/*", "registry.example.com:5000/base"),
    ("localhost/*", "localhost/base:1"),
    ("*.example.com/x", "eu.example.com/x"),
]
REFUSED = [
    ("ubuntu:*", "ubuntu:5000/evil"),
    ("ubuntu:*", "ubuntu.evil.com/x"),
    ("ubuntu:*", "evil/ubuntu"),
    ("ubuntu:*", "evil.com/ubuntu:22.04"),
    ("ubuntu:*", "evil.com/library/ubuntu"),
    ("ubuntu:*", "Ubuntu:22.04"),
    ("ubuntu:*", "ubuntu-evil"),
    ("ubuntu:*", "docker.io:443/library/ubuntu"),
    ("ubuntu:22.04", "ubuntu"),
    ("ubuntu:22.04", f"ubuntu{DIGEST}"),
    ("ubuntu:22.04", f"ubuntu:22.04{DIGEST}"),
    ("ubuntu:22.*", "ubuntu:24.04"),
    ("ubuntu:22.04", "ubuntu:22x04"),
    ("docker.io/library/*", "docker.io/evil/python"),
    ("docker.io/library/*", "docker.io/library/a/b"),
    ("*", "evil/python"),
    ("*", "evil.com/python"),
    ("*/*", "evil.com/python"),
    ("team*/x", "team.evil.com/x"),
    ("team*/x", "team:5000/x"),
    ("registry.example.com/agents/*", "registry.example.com/agents/deeper/x"),
    ("registry.example.com/agents/*", "registryxexample.com/agents/x"),
    ("registry.example.com/agents/*", "registry.example.com:5000/agents/x"),
    ("registry.example.com/agents/*", "REGISTRY.example.com/agents/x"),
    ("registry.example.com/agents/*", "registry.example.com/agents"),
    ("*.example.com/x", "evil.com:5000/x"),
    ("*.example.com/x", "a.example.com.evil.com/x"),
]


@pytest.mark.parametrize(("pattern", "image"), ALLOWED)
def test_an_image_is_allowed_however_it_is_spelled(pattern: str, image: str) -> None:
    assert allows(pattern, image)


@pytest.mark.parametrize(("pattern", "image"), REFUSED)
def test_an_image_that_only_looks_alike_is_not(pattern: str, image: str) -> None:
    assert not allows(pattern, image)
