"""Every file that is generated, by its path below the top of the checkout."""

from argocd.customizations import rendered as argocd_settings
from monitoring.dashboard import rendered as dashboard
from reference.pages import pages
from sandkeeper.api.crd import KINDS
from sandkeeper.api.crd import rendered as definition

_DEFINITIONS = ("crds", "charts/sandkeeper/files/crds")
"""For those who install them by themselves, and for the chart, which holds nothing from outside its folder."""


def files() -> dict[str, str]:
    """Make the text of each."""
    definitions = {f"{folder}/{kind.file}": definition(kind) for kind in KINDS for folder in _DEFINITIONS}
    return {
        **definitions,
        **pages(),
        "charts/sandkeeper/files/dashboards/sandkeeper.json": dashboard(),
        "docs/argocd/argocd-cm.yaml": argocd_settings(),
    }
