"""A page for each kind: what it is, an example, every field, every condition and reason, and every mark."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reference.objects import Places, Rule, Section, rules, sections
from sandkeeper.api import crd, names
from sandkeeper.api.kind import Kind
from sandkeeper.api.marks import MARKS, Mark


@dataclass(frozen=True)
class Guide:
    """What the documentation has of a kind beside its page.

    Attributes
    ----------
    example
        File below docs/; empty for none.
    pages
        Guides, as Markdown whose links begin in docs/reference.
    """

    pages: str
    example: str = ""


GUIDES: Final = {
    names.SANDBOX_KIND: Guide("[Concepts](../concepts.md)", "examples/agent.yaml"),
    names.TEMPLATE_KIND: Guide("[Templates](../templates.md)", "examples/template.yaml"),
    names.POLICY_KIND: Guide("[Policies and quotas](../policies.md)", "examples/policy.yaml"),
    names.SNAPSHOT_KIND: Guide("[Snapshots](../snapshots.md)", "examples/checkpoint.yaml"),
    names.DIFF_KIND: Guide("[What changed](../diffs.md)", "examples/diff.yaml"),
    names.FENCE_KIND: Guide("[How admission knows a fence](../security.md#how-admission-knows-a-fence)"),
}
"""In the order of the index; the Sandbox first, to whose page the others lead for what they share with it."""


@dataclass(frozen=True)
class KindPage:
    """What the page of a kind shows."""

    kind: Kind
    guide: Guide
    example: str
    spec: tuple[Section, ...]
    status: tuple[Section, ...]
    rules: tuple[Rule, ...]
    marks: tuple[Mark, ...]

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.kind.singular}.md"


def kind_pages(root: Path) -> list[KindPage]:
    """Build the pages of all kinds.

    Parameters
    ----------
    root
        Top of the checkout, for the examples.
    """
    places, kinds = Places(), {each.kind: each for each in crd.KINDS}
    return [_page(kinds[name], guide, root / "docs", places) for name, guide in GUIDES.items()]


def _page(kind: Kind, guide: Guide, docs: Path, places: Places) -> KindPage:
    schema: dict[str, Any] = crd.object_schema(kind)
    file, has = f"{kind.singular}.md", schema["properties"]
    return KindPage(
        kind=kind,
        guide=guide,
        example=(docs / guide.example).read_text() if guide.example else "",
        spec=tuple(sections(schema, "spec", file, places)) if "spec" in has else (),
        status=tuple(sections(schema, "status", file, places)) if "status" in has else (),
        rules=rules(schema, "spec") if "spec" in has else (),
        marks=tuple(each for each in MARKS if each.kind == kind.kind),
    )
