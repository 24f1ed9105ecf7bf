"""JSON merge patches as the API server applies them (RFC 7386)."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Apply a patch; a null takes a member away, anything that is no object replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
