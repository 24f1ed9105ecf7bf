"""Writes the pages that are generated, or tells which are out of date."""

import argparse
from collections.abc import Sequence
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or tell which are out of date."""
    parser = argparse.ArgumentParser(prog="hack/generate", description="Write the pages that are made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to write to (default: this one)")
    options = parser.parse_args(arguments)
    outdated = {
        options.root / path: text
        for path, text in pages().items()
        if not (options.root / path).exists() or (options.root / path).read_text() != text
    }
    for path, text in outdated.items():
        print(f"{path.relative_to(options.root)}: {'out of date, run hack/generate' if options.check else 'written'}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if options.check and outdated else 0
