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


def unchanging(field: str, why: str) -> JsonSchema:
    """Build the rule of a spec's field that stays as it was written, or left out.

    Parameters
    ----------
    why
        The reason, after "can't be changed".
    """
    return rule(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"can't be changed: {why}",
        fieldPath=f".{field}",
        reason="FieldValueForbidden",
    )


def object_name(example: str) -> JsonSchema:
    """Build the checks of a field that names another object."""
    return checks(
        rule(
            "!format.dns1123Subdomain().validate(self).hasValue()",
            f"must be the name of an object: lower-case letters, digits, '-' and '.', such as {example}",
        ),
        maxLength=MAX_NAME,
    )


MAX_NAME: Final = 253
"""Longest name of a Kubernetes object."""

LABEL_KEY: Final = rule(
    "!format.qualifiedName().validate(self).hasValue()",
    "must be the key of a label, such as team or example.com/team",
)
LABEL_VALUE: Final = rule(
    "!format.labelValue().validate(self).hasValue()",
    "must be the value of a label: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
)

POSITIVE: Final = rule(
    "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
    "must be a quantity above zero, such as 2, 500m or 4Gi",
)
NOT_NEGATIVE: Final = rule(
    "isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0'))",
    "must be a quantity of zero or more, such as 0, 64 or 128Gi",
)
# isInteger is false for 1.5Gi, which is whole all the same.
WHOLE: Final = (
    "(!isQuantity(string({value})) || quantity(string({value})).isInteger() "
    "|| string({value}).matches('([KMGTPE]i|[kMGTPE])$'))"
)
WHOLE_BYTES: Final = rule(WHOLE.format(value="self"), "must be whole bytes, such as 10Gi or 500Mi")
_INT_OR_STRING: Final = {"x-kubernetes-int-or-string": True, "maxLength": 32}

Divisor = Annotated[str, Field(coerce_numbers_to_str=True, json_schema_extra=_INT_OR_STRING)]
"""The unit that a number counts in, such as ``1Mi``."""
Quantity = Annotated[str, Field(coerce_numbers_to_str=True, json_schema_extra=_INT_OR_STRING | checks(POSITIVE))]
"""Quantity above zero as written: ``500m``, ``4Gi``, or a bare integer."""
Bound = Annotated[str, Field(coerce_numbers_to_str=True, json_schema_extra=_INT_OR_STRING | checks(NOT_NEGATIVE))]
"""Quantity that is the most there may be; zero for none at all."""
BoundOfBytes = Annotated[
    str, Field(coerce_numbers_to_str=True, json_schema_extra=_INT_OR_STRING | checks(NOT_NEGATIVE, WHOLE_BYTES))
]
"""The same of what Kubernetes counts in whole bytes."""
