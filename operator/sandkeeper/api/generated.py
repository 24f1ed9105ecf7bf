"""Generated files that are committed: every generator writes those that are out of date, or only tells."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def generate(render: Callable[[], Mapping[str, str]], description: str, arguments: Sequence[str] | None = None) -> int:
    """Run a generator's command line.

    Parameters
    ----------
    render
        Gives the texts by their paths below the top of the checkout.

    Returns
    -------
    int
        Exit code: 1 where ``--check`` found something out of date.
    """
    parser = argparse.ArgumentParser(prog="hack/generate", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is out of date")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="top of the checkout (default: here)")
    options = parser.parse_args(arguments)
    outdated = {
        options.root / path: text
        for path, text in render().items()
        if not (options.root / path).exists() or (options.root / path).read_text() != text
    }
    for path, text in outdated.items():
        print(f"{path.relative_to(options.root)}: {'out of date, run hack/generate' if options.check else 'written'}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if options.check and outdated else 0
