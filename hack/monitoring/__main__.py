"""Writes the dashboard into the chart; with ``--check`` only tells whether it is out of date."""

import argparse
import sys
from pathlib import Path

from monitoring.dashboard import rendered

FILE = Path("charts/sandkeeper/files/dashboards/sandkeeper.json")


def main() -> int:
    """Write it, or check it."""
    parser = argparse.ArgumentParser(prog="hack/generate", description="Write the dashboard.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file is out of date")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="top of the checkout (default: here)")
    options = parser.parse_args()
    path, text = options.root / FILE, rendered()
    if path.exists() and path.read_text() == text:
        return 0
    print(f"{FILE}: {'out of date, run hack/generate' if options.check else 'written'}")
    if not options.check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 1 if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
