"""The sandbox's container: its image, its environment variables and the ports that it serves."""

from typing import Final

from pydantic import ConfigDict, Field

from .model import MAX_NAME, Divisor, Model, checks, object_name, rule

DATA_KEY: Final = rule(
    "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
    "must be a key of the object's data: letters, digits, '-', '_' and '.', such as API_KEY",
)


class KeySelector(Model):
    """One key of a Secret or ConfigMap in the sandbox's namespace."""

    name: str = Field(
        description="Name of the object, in the sandbox's namespace.",
        json_schema_extra=object_name("openai"),
    )
    key: str = Field(
        description="Key of the object's data whose value the variable takes.",
        json_schema_extra=checks(DATA_KEY, maxLength=MAX_NAME),
    )
    optional: bool | None = Field(
        default=None,
        description="Start without the variable where object or key is missing. Default: wait until it is there.",
    )


class FieldSelector(Model):
    """A field of the sandbox's own pod."""

    api_version: str | None = Field(
        default=None,
        description="Version of the schema that fieldPath is written in. Default: v1.",
        json_schema_extra=checks(enum=["v1"]),
    )
    field_path: str = Field(
        description="The field: metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], "
        "metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, "
        "status.podIP or status.podIPs.",
        json_schema_extra=checks(
            rule(
                r"self.matches('^(metadata\\.(name|namespace|uid|(labels|annotations)\\[\'[^\']+\'\\])"
                r"|spec\\.(nodeName|serviceAccountName)|status\\.(hostIPs?|podIPs?))$')",
                "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], "
                "metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, "
                "status.podIP or status.podIPs",
            ),
            maxLength=400,
        ),
    )


class ResourceSelector(Model):
    """A limit or request of the sandbox, as a number."""

    resource: str = Field(
        description="The resource, such as limits.cpu or requests.memory.",
        json_schema_extra=checks(
            enum=[
                f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
            ]
        ),
    )
    divisor: Divisor | None = Field(
        default=None,
        description="Unit that the number counts in, such as 1m for cpu or 1Mi for memory. Default: 1.",
        json_schema_extra=checks(
            rule(
                "string(self).matches('^1(m|[kMGTPE]|[KMGTPE]i)?$')",
                "must be 1 or 1m for cpu, and 1 or a unit such as 1M or 1Mi for memory and ephemeral-storage",
            ),
        ),
    )


class EnvVarSource(Model):
    """Where a variable's value comes from, when it is not written in the sandbox."""

    secret_key_ref: KeySelector | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: KeySelector | None = Field(default=None, description="A key of a ConfigMap.")
    field_ref: FieldSelector | None = Field(default=None, description="A field of the sandbox's pod.")
    resource_field_ref: ResourceSelector | None = Field(default=None, description="A limit or request of the sandbox.")


class EnvVar(Model):
    """An environment variable, as in a core/v1 container."""

    model_config = ConfigDict(
        json_schema_extra=checks(
            rule("!(has(self.value) && has(self.valueFrom))", "must have value or valueFrom, not both"),
        )
    )

    name: str = Field(
        description="Name of the variable: printable ASCII characters other than '='.",
        json_schema_extra=checks(
            rule("self.matches('^[ -<>-~]+$')", "must be one or more printable ASCII characters other than '='"),
            maxLength=256,
        ),
    )
    value: str | None = Field(
        default=None,
        description="Its value, with $(OTHER) replaced by the variable OTHER. Default: empty.",
        json_schema_extra=checks(maxLength=65536),
    )
    value_from: EnvVarSource | None = Field(
        default=None,
        description="Take the value from elsewhere: exactly one of secretKeyRef, configMapKeyRef, fieldRef and "
        "resourceFieldRef.",
        json_schema_extra=checks(
            rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef), has(self.resourceFieldRef)]"
                ".exists_one(given, given)",
                "must hold exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef",
            )
        ),
    )


class Port(Model):
    """A port that the sandbox serves to its namespace."""

    name: str = Field(
        description="Name of the port, unique in the sandbox: 1 to 15 lower-case letters, digits and single '-', "
        "at least one of them a letter.",
        json_schema_extra=checks(
            rule(
                "self.matches('^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$') && self.matches('[a-z]') && !self.contains('--')",
                "must be 1 to 15 lower-case letters, digits and single '-', at least one of them a letter, such as web",
            ),
            maxLength=63,
        ),
    )
    port: int = Field(
        description="TCP port that the process in the sandbox listens on, and that the Service offers: 1 to 65535.",
        json_schema_extra=checks(
            rule("self >= 1 && self <= 65535", "must be a TCP port: 1 to 65535"),
            format="int32",
        ),
    )


PORTS: Final = checks(
    rule(
        "self.all(one, self.exists_one(other, other.port == one.port))",
        "must give every port number once",
    ),
    maxItems=32,
) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""For a list of ports."""

_HOST: Final = "[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?"
_PART: Final = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = (
    f"^(({_HOST}([.]{_HOST})*|\\\\[[a-fA-F0-9:]+\\\\])(:[0-9]+)?/)?{_PART}(/{_PART})*"
    "(:[a-zA-Z0-9_][-.a-zA-Z0-9_]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
)
"""Grammar of github.com/distribution/reference, which container runtimes parse by."""

IMAGE: Final = checks(
    rule(
        f"self.matches('{_REFERENCE}')",
        "must be an image reference, [REGISTRY/]NAME[:TAG][@DIGEST] with a lower-case NAME and no spaces, such as "
        "ubuntu:22.04 or ghcr.io/example/agent:1.2",
    ),
    maxLength=512,
)
"""For the reference of a container image."""
