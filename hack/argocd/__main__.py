"""Writes Argo CD's settings; with ``--check`` only tells whether they are out of date."""

import sys

from argocd.customizations import rendered
from sandkeeper.api.generated import generate

FILE = "docs/argocd/argocd-cm.yaml"

if __name__ == "__main__":
    sys.exit(generate(lambda: {FILE: rendered()}, "Write Argo CD's settings."))
