"""The base of all models, and how a field declares what the apiserver checks.

The apiserver is the only judge of user input. A model only reads what was let in, so it carries no constraint of its
own and ignores what it does not know: an older operator meets objects of a newer CRD.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

JsonSchema = dict[str, Any]


class Model(BaseModel):
    """An immutable part of an API object: snake_case in Python, camelCase in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_json(self) -> dict[str, Any]:
        """Give the part as the apiserver wants it: JSON names, nothing that was not written."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


Quantity = Annotated[str, Field(coerce_numbers_to_str=True, json_schema_extra={"x-kubernetes-int-or-string": True})]
"""Quantity as written: ``500m``, ``4Gi``, or a bare integer."""

MAX_NAME: Final = 253
"""Longest name of a Kubernetes object."""


def rule(check: str, message: str, **more: str) -> JsonSchema:
    """Build one CEL rule.

    Parameters
    ----------
    check
        CEL expression over ``self`` that must hold.
    message
        What is allowed. The apiserver puts the field's path and the refused value in front of it.
    more
        Further keys of ``x-kubernetes-validations``, such as ``fieldPath`` or ``messageExpression``.
    """
    return {"rule": check, "message": message, **more}


def checks(*rules: JsonSchema, **limits: Any) -> JsonSchema:
    """Build a field's part of the schema: limits such as ``maxLength``, then CEL rules.

    Limits are not optional decoration: the apiserver estimates what a rule can cost from them, and refuses the CRD
    whose estimate is over its budget.
    """
    return {**limits, "x-kubernetes-validations": list(rules)} if rules else limits
