"""The chart through Helm, as a user's machine would see it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from localcluster.tools import tool

CHECKOUT = Path(__file__).parents[3]
CHART = CHECKOUT / "charts" / "sandkeeper"

Values = dict[str, Any]
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}

VALUE_SETS: dict[str, Values] = {
    "defaults": {},
    "everything on": {
        "commonLabels": {"team": "platform"},
        "podLabels": {"cost": "7"},
        "podAnnotations": {"note": "here"},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "serviceAccount": {"annotations": {"owner": "platform"}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "metrics": {
            "serviceMonitor": {"enabled": True, "metricRelabelings": [{"action": "drop", "regex": "x"}]},
            "prometheusRule": {"enabled": True, "runbook": "https://git.example.com/runbook.md"},
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Platform"}},
        },
        "networkPolicy": {"metricsFrom": [MONITORING], "apiServerCIDRs": ["10.0.0.0/28"], "nodeCIDRs": ["10.0.1.0/24"]},
        "idle": {"kubeletCA": {"configMap": "kubelets"}},
        "canary": {"extraTargets": [{"name": "the database", "host": "192.0.2.1", "port": 5432}]},
        "resources": {"requests": {"cpu": 2, "memory": "1Gi"}},
        "admissionPolicies": {"namespaceSelector": {"matchLabels": {"team": "leads"}}},
        "gateway": {
            "autoscaling": {"enabled": True},
            "clusterIP": "10.96.0.53",
            "resolvers": ["10.0.0.2"],
            "setupDomains": ["packages.example.com"],
            "tolerations": [{"key": "system", "operator": "Exists"}],
            "priorityClassName": "system-cluster-critical",
            "cilium": {"enabled": True},
        },
    },
    "one replica": {"replicaCount": 1, "topologySpreadConstraints": []},
    "everything off": {
        "crds": {"enabled": False},
        "rbac": {"create": False},
        "serviceAccount": {"create": False, "name": "keeper"},
        "sandboxPriorityClass": {"create": False, "name": ""},
        "sandboxPods": {"userNamespaces": "Never"},
        "requireEnforcement": False,
        "canary": {"enabled": False},
        "idle": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "admissionPolicies": {"enabled": False},
        "gateway": {"enabled": False},
    },
}


class Helm:
    """Helm with a home of its own, so that nothing of the user's settings or clusters gets in.

    Parameters
    ----------
    home
        Folder for what Helm keeps.
    kubeconfig
        The cluster to talk to; none where it is None.
    """

    def __init__(self, home: Path, kubeconfig: Path | None = None) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        folders = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        self.environment = {**kept, **folders, "KUBECONFIG": str(kubeconfig or home / "none")}

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [tool("helm"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)

    def lint(self, values: Values) -> subprocess.CompletedProcess[str]:
        return self("lint", "--strict", CHART, "--values", self._file(values))

    def template(self, values: Values, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = ("--namespace", "sandkeeper-system", "--values", self._file(values))
        return self("template", "sandkeeper", CHART, *where, *arguments)

    def rendered(self, values: Values) -> str:
        done = self.template(values)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _file(self, values: Values) -> Path:
        file = self.home / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        return file


def objects(rendered: str, *kinds: str) -> list[dict[str, Any]]:
    """Return the rendered objects, all of them or those of some kinds."""
    documents = [document for document in yaml.safe_load_all(rendered) if document]
    return [document for document in documents if not kinds or document["kind"] in kinds]
