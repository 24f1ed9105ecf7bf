"""A node counts as having its drivers when the kubelet has registered them, and a list that is not there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcluster.native import addons


def kubectl(folder: Path, answer: dict[str, Any] | None) -> list[str | Path]:
    """Return a stand-in for kubectl that gives one answer, whatever it is asked."""
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer) if answer else ''}\nEND\n")
    program.chmod(0o755)
    return [program]


@pytest.mark.parametrize(
    ("answer", "drivers"),
    [
        (None, set()),
        ({"spec": {"drivers": None}}, set()),
        ({"spec": {}}, set()),
        ({"spec": {"drivers": [{"name": "ours", "nodeID": "here"}]}}, {"ours"}),
        ({"spec": {"drivers": [{"name": "ours", "nodeID": "an-earlier-node"}]}}, set()),
    ],
)
def test_only_what_the_kubelet_registered_counts(tmp_path: Path, answer: dict[str, Any], drivers: set[str]) -> None:
    assert addons.registered_drivers(kubectl(tmp_path, answer), "here") == drivers
