"""The parts of core/v1 that say which nodes a pod may run on."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .labels import MAX_KEY, SELECTOR
from .model import LABEL_KEY, LABEL_VALUE, Model, checks, rule

_VALUE = Annotated[str, Field(json_schema_extra=checks(LABEL_VALUE, maxLength=63))]
_KEY = Annotated[str, Field(json_schema_extra=checks(LABEL_KEY, maxLength=MAX_KEY))]
_MAP_VALUE = Annotated[str, Field(json_schema_extra=checks(maxLength=63))]


class Toleration(Model):
    """A taint that the pod tolerates, as in core/v1."""

    model_config = ConfigDict(
        json_schema_extra=checks(
            rule(
                "has(self.key) || has(self.operator) && self.operator == 'Exists'",
                "operator must be Exists where there is no key",
            ),
            rule(
                "!(has(self.operator) && self.operator == 'Exists' && has(self.value) && self.value != '')",
                "there must be no value where operator is Exists",
            ),
            rule(
                "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
                "effect must be NoExecute where tolerationSeconds is given",
            ),
        )
    )

    key: _KEY | None = Field(default=None, description="Key of the taint. Default: every taint, with operator Exists.")
    operator: str | None = Field(
        default=None,
        description="Exists, or Equal to compare the value. Default: Equal.",
        json_schema_extra=checks(enum=["Exists", "Equal"]),
    )
    value: _VALUE | None = Field(default=None, description="Value of the taint, for Equal. Default: empty.")
    effect: str | None = Field(
        default=None,
        description="NoSchedule, PreferNoSchedule or NoExecute. Default: every effect.",
        json_schema_extra=checks(enum=["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    )
    toleration_seconds: int | None = Field(
        default=None,
        description="How long a NoExecute taint is tolerated. Default: for ever.",
        json_schema_extra=checks(format="int64"),
    )


class LabelSelectorRequirement(Model):
    """One condition on a label."""

    model_config = ConfigDict(
        json_schema_extra=checks(
            rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                "values must be given for In and NotIn, and for no other operator",
            )
        )
    )

    key: _KEY = Field(description="Key of the label.")
    operator: str = Field(
        description="In, NotIn, Exists or DoesNotExist.",
        json_schema_extra=checks(enum=["In", "NotIn", "Exists", "DoesNotExist"]),
    )
    values: tuple[_VALUE, ...] | None = Field(
        default=None, description="Values for In and NotIn.", json_schema_extra=checks(maxItems=32)
    )


class LabelSelector(Model):
    """Which pods are counted."""

    match_labels: dict[str, _MAP_VALUE] | None = Field(
        default=None, description="Labels that a pod must have.", json_schema_extra=SELECTOR
    )
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = Field(
        default=None, description="Conditions that a pod's labels must meet.", json_schema_extra=checks(maxItems=16)
    )


class TopologySpreadConstraint(Model):
    """How pods are spread over zones, nodes or other domains, as in core/v1."""

    model_config = ConfigDict(
        json_schema_extra=checks(
            rule(
                "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
                "whenUnsatisfiable must be DoNotSchedule where minDomains is given",
            ),
            rule(
                "!has(self.matchLabelKeys) || has(self.labelSelector)",
                "there must be a labelSelector where matchLabelKeys is given",
            ),
        )
    )

    max_skew: int = Field(
        description="Most pods that one domain may have more than another.",
        json_schema_extra=checks(rule("self > 0", "must be 1 or more pods"), format="int32"),
    )
    topology_key: _KEY = Field(description="Label of the nodes that tells their domain.")
    when_unsatisfiable: str = Field(
        description="DoNotSchedule or ScheduleAnyway.",
        json_schema_extra=checks(enum=["DoNotSchedule", "ScheduleAnyway"]),
    )
    label_selector: LabelSelector | None = Field(
        default=None, description="Pods that are counted; label your sandboxes in podTemplate. Default: none."
    )
    match_label_keys: tuple[_KEY, ...] | None = Field(
        default=None,
        description="Labels whose values the counted pods share with this one. Default: none.",
        json_schema_extra=checks(maxItems=8),
    )
    min_domains: int | None = Field(
        default=None,
        description="Fewest domains to spread over, for DoNotSchedule. Default: 1.",
        json_schema_extra=checks(rule("self > 0", "must be 1 or more domains"), format="int32"),
    )
    node_affinity_policy: str | None = Field(
        default=None,
        description="Honor or Ignore nodeSelector and affinity when counting. Default: Honor.",
        json_schema_extra=checks(enum=["Honor", "Ignore"]),
    )
    node_taints_policy: str | None = Field(
        default=None,
        description="Honor or Ignore taints when counting. Default: Ignore.",
        json_schema_extra=checks(enum=["Honor", "Ignore"]),
    )
