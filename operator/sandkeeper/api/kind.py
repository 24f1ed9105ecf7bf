"""What is said of a kind beside its models: its names, the columns of ``kubectl get``, its conditions and Events."""

from dataclasses import dataclass

from . import names
from .model import JsonSchema, Model
from .reasons import Aspect, Reason


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``; a wide one shows with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    wide: bool = False

    def to_json(self) -> JsonSchema:
        """Give it as the CRD wants it."""
        column: JsonSchema = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            column["description"] = self.description
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True)
class Kind:
    """What is said of a kind beside its models; one without a spec has nothing but names."""

    kind: str
    plural: str
    singular: str
    description: str
    columns: tuple[Column, ...]
    short: str = ""
    spec: type[Model] | None = None
    status: type[Model] | None = None
    conditions: tuple[Aspect, ...] = ()
    events: tuple[Reason, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file that the CRD is written to."""
        return f"{names.GROUP}_{self.plural}.yaml"
