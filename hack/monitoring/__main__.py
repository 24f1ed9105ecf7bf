"""Writes the dashboard into the chart; with ``--check`` only tells whether it is out of date."""

import sys

from monitoring.dashboard import rendered
from sandkeeper.api.generated import generate

FILE = "charts/sandkeeper/files/dashboards/sandkeeper.json"

if __name__ == "__main__":
    sys.exit(generate(lambda: {FILE: rendered()}, "Write the dashboard."))
