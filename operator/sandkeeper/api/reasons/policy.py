"""The condition of a SandboxPolicy."""

from typing import Final

from . import Aspect, Reason

CONDITIONS: Final = (
    Aspect(
        "Ready",
        "Whether it is in force as it was written.",
        (
            Reason("InForce", "Nothing: sandboxes of the namespace are held to it."),
            Reason(
                "Pending",
                "Kubernetes does not count by the quota yet, and refuses what it would count.",
                "Wait: seconds; up to five minutes for bounds of `sandboxes` and `snapshots` that were made within "
                "half a minute of the CRDs, which Kubernetes had not heard of.",
            ),
            Reason(
                "NoPriorityClass",
                "`cpu`, `memory` and `running` can't be counted, since sandboxes of this installation have no "
                "PriorityClass; all else is in force.",
                "`sandboxPriorityClass` of the chart.",
            ),
            Reason(
                "QuotaRefused",
                "The API server refuses a ResourceQuota of it, or another one has that name: what that would bound is "
                "not bounded. All else is in force.",
                "What the message names: mostly an admission policy or webhook of somebody else's. It is tried again.",
            ),
            Reason("NoEffect", "It is not named `default`.", "That name."),
        ),
    ),
)
