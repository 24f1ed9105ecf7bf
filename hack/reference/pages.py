"""The pages of docs/ that are generated."""

from pathlib import Path
from typing import Final

from reference.kinds import kind_pages
from reference.limits import limits_page
from reference.rendering import rendered
from reference.versions import versions_page
from sandkeeper.api import crd, names

ROOT: Final = Path(__file__).parents[2]


def pages() -> dict[str, str]:
    """Render every generated page, by its path below the top of the checkout."""
    kinds = kind_pages(ROOT)
    rule = {"names": names, "name_rule": f"must be {crd.NAMES}"}
    found = {f"docs/reference/{page.file}": rendered("kind.md.j2", page=page, **rule) for page in kinds}
    found["docs/reference/README.md"] = rendered("index.md.j2", pages=kinds, names=names)
    return found | {"docs/limits.md": limits_page(ROOT), "docs/versions.md": versions_page(ROOT)}
