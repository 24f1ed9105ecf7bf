"""``python -m generated``: writes the files that are out of date; with ``--check`` it only tells which."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from generated.files import files

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where a file is out of date.")] = False,
    root: Annotated[Path, typer.Option(help="Top of the checkout.")] = Path(),
) -> None:
    """Write what is generated: CRDs and pages of docs/ from the models, the dashboard, and the settings of Argo CD."""
    outdated = {path: text for path, text in files().items() if _content(root / path) != text}
    for path, text in outdated.items():
        typer.echo(f"{path}: {'out of date, run hack/generate' if check else 'written'}")
        if not check:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    if check and outdated:
        raise typer.Exit(1)


def _content(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


if __name__ == "__main__":
    sys.exit(app())
