"""Which nodes mount an image as a volume (KEP-4639), also in a pod with a user namespace."""

from __future__ import annotations

import re
from typing import Any, Final

Json = dict[str, Any]

KUBELET: Final = 1, 36
"""Since when the feature is stable and can't be turned off."""
CONTAINERD: Final = 2, 2, 9
"""Since when a pod with a user namespace starts with one; former versions mount an overlay, which can't be idmapped."""
_NUMBERS: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def has_image_volumes(node: Json) -> bool:
    """Whether a node is known to have image volumes that every sandbox can use."""
    info = node.get("status", {}).get("nodeInfo") or {}
    runtime, _, version = str(info.get("containerRuntimeVersion", "")).partition("://")
    kubelet = _numbers(str(info.get("kubeletVersion", "")))
    return runtime == "containerd" and kubelet >= KUBELET and _numbers(version) >= CONTAINERD


def _numbers(version: str) -> tuple[int, ...]:
    """Read a version such as ``v1.36.3``; empty where it is none."""
    found = _NUMBERS.match(version)
    return tuple(int(number or 0) for number in found.groups()) if found else ()
