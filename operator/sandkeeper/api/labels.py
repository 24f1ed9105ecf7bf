"""Keys and values of labels and annotations, and which keys a user may not set on a pod."""

import re
from typing import Final

from .model import JsonSchema, checks, rule
from .names import GROUP

MAX_KEY: Final = 317
"""Longest key of a label: a prefix of 253 characters, a slash, and a name of 63."""

_IS_KEY: Final = f"(key.size() <= {MAX_KEY} && !format.qualifiedName().validate(key).hasValue())"
_IS_VALUE: Final = "!format.labelValue().validate(self[key]).hasValue()"

_GROUP: Final = "[.]".join(GROUP.split("."))
_LABEL_PREFIXES: Final = f"^([^/]*[.])?({_GROUP}|kubernetes[.]io|k8s[.]io)/"
_OPEN_LABELS: Final = "app.kubernetes.io/"
_ANNOTATION_PREFIXES: Final = (
    f"^(([^/]*[.])?({_GROUP}|security[.](alpha|beta)[.]kubernetes[.]io|k8s[.]v1[.]cni[.]cncf[.]io"
    "|v1[.]multus-cni[.]io)/|kubernetes[.]io/config[.])"
)
_RESERVED_LABEL: Final = f"(key.matches('{_LABEL_PREFIXES}') && !key.startsWith('{_OPEN_LABELS}'))"
_RESERVED_ANNOTATION: Final = f"key.matches('{_ANNOTATION_PREFIXES}')"


def _each(holds: str, *, otherwise: str, told: str) -> JsonSchema:
    """Build a rule that every key of a map must hold.

    Parameters
    ----------
    holds
        CEL expression over ``key``, and ``self`` for the map.
    otherwise
        What is allowed, if no key can be named.
    told
        CEL expression of the message for the first key that breaks the rule. The apiserver shows the value of a
        string, but not that of a map, so the message has to.
    """
    return rule(
        f"self.all(key, {holds})",
        otherwise,
        messageExpression=f"self.filter(key, !({holds})).map(key, {told})[0]",
    )


_KEYS: Final = "at most 63 letters, digits, - _ and ., optionally after a DNS name and /, such as example.com/team"
_KEY_SYNTAX: Final = _each(
    _IS_KEY, otherwise=f"every key must be {_KEYS}", told=f"'\"' + key + '\" is no key: it must be {_KEYS}'"
)
_VALUES: Final = "at most 63 letters, digits, - _ and ., with a letter or digit at both ends"
_VALUE_SYNTAX: Final = _each(
    _IS_VALUE,
    otherwise=f"every value must be {_VALUES}",
    told=f"'\"' + self[key] + '\", the value of ' + key + ', must be {_VALUES}'",
)

SELECTOR: Final = checks(_KEY_SYNTAX, _VALUE_SYNTAX, maxProperties=32)
"""For a map of labels that objects are selected by."""

_OWN_LABELS: Final = (
    f"controllers act on labels below {GROUP}, kubernetes.io and k8s.io; use a prefix of your own, none, or "
    "app.kubernetes.io"
)
POD_LABELS: Final = checks(
    _KEY_SYNTAX,
    _VALUE_SYNTAX,
    _each(f"!{_RESERVED_LABEL}", otherwise=_OWN_LABELS, told=f"key + ' is reserved: {_OWN_LABELS}'"),
    maxProperties=32,
)
"""For the labels of a sandbox's pod."""

_OWN_ANNOTATIONS: Final = (
    f"annotations below {GROUP}, and those that set a security profile, add a network past the egress fence or mark a "
    "mirror pod, are not for users; any other is allowed"
)
POD_ANNOTATIONS: Final = checks(
    _KEY_SYNTAX,
    _each(f"!{_RESERVED_ANNOTATION}", otherwise=_OWN_ANNOTATIONS, told=f"key + ' is reserved: {_OWN_ANNOTATIONS}'"),
    maxProperties=64,
)
"""For the annotations of a sandbox's pod. Those of runtimes, meshes and autoscalers are legitimate."""


def is_reserved_label(key: str) -> bool:
    """Tell as the apiserver does whether a label is not a user's to set; of what no apiserver has judged."""
    return re.match(_LABEL_PREFIXES, key) is not None and not key.startswith(_OPEN_LABELS)


def is_reserved_annotation(key: str) -> bool:
    """Tell the same of an annotation."""
    return re.match(_ANNOTATION_PREFIXES, key) is not None
