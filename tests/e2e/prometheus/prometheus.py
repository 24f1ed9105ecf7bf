"""A Prometheus in the cluster that scrapes what ServiceMonitors name and judges by what PrometheusRules hold."""

import json
import subprocess
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import yaml

from api.kubectl import Kubectl
from installation import NAMESPACE as SYSTEM

NAME = "prometheus"
PORT = 9090
INTERVAL = "2s"
"""Nobody waits for half a minute until there are two samples."""

Json = dict[str, Any]


class Prometheus:
    """Prometheus in a namespace of its own, which reads the release's Services and pods and nothing else.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace
        Where it runs; whoever it is to scrape has to let this namespace in.
    image
        Of Prometheus alone.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, image: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._image = image
        self._tunnel: subprocess.Popen[str] | None = None
        self._connection: HTTPConnection | None = None

    def start(self) -> None:
        """Start with the ServiceMonitors and PrometheusRules that the release has by now."""
        for content in (*self._rights(), self._settings(), self._pod()):
            self._kubectl("apply", "-f", "-", given=json.dumps(content))
        self._kubectl("-n", self._namespace, "wait", f"pod/{NAME}", "--for=condition=Ready", "--timeout=120s")
        command = [*self._kubectl.command, "-n", self._namespace, "port-forward", f"pod/{NAME}", f":{PORT}"]
        self._tunnel = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._tunnel.stdout is not None
        said = self._tunnel.stdout.readline()
        # One connection for all: of each the tunnel prints a line that nobody reads.
        self._connection = HTTPConnection(said.removeprefix("Forwarding from ").split(" ")[0], timeout=30)

    def stop(self) -> None:
        """Close the way to it; it goes with its namespace."""
        self._kubectl("-n", SYSTEM, "delete", "role,rolebinding", self._namespace, "--ignore-not-found")
        if self._connection is not None:
            self._connection.close()
        if self._tunnel is not None:
            self._tunnel.kill()
            self._tunnel.communicate()

    def query(self, expression: str) -> list[Json]:
        """Return the series that an expression has now."""
        data = self._ask("query", query=expression)
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        found: list[Json] = data["result"]
        return found

    def label_values(self, label: str, selector: str) -> list[str]:
        """Return the values of a label in the series of a selector."""
        found: list[str] = self._ask(f"label/{label}/values", **{"match[]": selector})
        return found

    def rules(self) -> list[Json]:
        """Return all rules as Prometheus has them, with their health."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, what: str, **parameters: str) -> Any:
        assert self._connection is not None
        self._connection.request("GET", f"/api/v1/{what}?{urlencode(parameters)}")
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status == HTTPStatus.OK, text
        return json.loads(text)["data"]

    def _of_release(self, kind: str) -> list[Json]:
        found: list[Json] = json.loads(self._kubectl("-n", SYSTEM, "get", kind, "-o", "json"))["items"]
        return found

    def _rights(self) -> list[Json]:
        role = "rbac.authorization.k8s.io"
        reads = [
            {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
        ]
        who = {"kind": "ServiceAccount", "name": "default", "namespace": self._namespace}
        named = {"apiVersion": f"{role}/v1", "metadata": {"name": self._namespace, "namespace": SYSTEM}}
        reference = {"apiGroup": role, "kind": "Role", "name": self._namespace}
        return [
            {"kind": "Role", "rules": reads, **named},
            {"kind": "RoleBinding", "subjects": [who], "roleRef": reference, **named},
        ]

    def _settings(self) -> Json:
        groups = [group for rule in self._of_release("prometheusrules") for group in rule["spec"]["groups"]]
        scraped = [scrape_config(monitor) for monitor in self._of_release("servicemonitors")]
        main = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": ["/etc/prometheus/rules.yaml"],
            "scrape_configs": scraped,
        }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": self._namespace},
            "data": {"prometheus.yaml": yaml.safe_dump(main), "rules.yaml": yaml.safe_dump({"groups": groups})},
        }

    def _pod(self) -> Json:
        container = {
            "name": "main",
            "image": self._image,
            "args": ["--config.file=/etc/prometheus/prometheus.yaml", "--storage.tsdb.path=/data"],
            "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
            "volumeMounts": [
                {"name": "settings", "mountPath": "/etc/prometheus"},
                {"name": "data", "mountPath": "/data"},
            ],
        }
        volumes = [{"name": "settings", "configMap": {"name": NAME}}, {"name": "data", "emptyDir": {}}]
        spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "namespace": self._namespace, "labels": {"app": NAME}},
            "spec": spec,
        }


def scrape_config(monitor: Json) -> Json:
    """Write what a Prometheus operator makes of a ServiceMonitor: whom to scrape, and which labels that gets."""
    spec = monitor["spec"]
    (endpoint,) = spec["endpoints"]
    kept = [_keep(f"label_{_meta(name)}", value) for name, value in spec["selector"]["matchLabels"].items()]
    for each in spec["selector"].get("matchExpressions", []):
        assert each["operator"] == "DoesNotExist", "no other one is translated"
        kept.append(_relabel(f"service_labelpresent_{_meta(each['key'])}", action="drop", regex="true"))
    return {
        "job_name": f"serviceMonitor/{monitor['metadata']['name']}",
        "metrics_path": endpoint["path"],
        "kubernetes_sd_configs": [
            {"role": "endpointslice", "namespaces": {"names": spec["namespaceSelector"]["matchNames"]}}
        ],
        "relabel_configs": [
            *kept,
            _relabel("endpointslice_port_name", action="keep", regex=endpoint["port"]),
            _relabel("namespace", target_label="namespace"),
            _relabel("pod_name", target_label="pod"),
            _relabel("service_name", target_label="job"),
        ],
        "metric_relabel_configs": endpoint.get("metricRelabelings", []),
    }


def _keep(label: str, value: str) -> Json:
    return _relabel(f"service_{label}", action="keep", regex=value)


def _relabel(source: str, **more: str) -> Json:
    return {"source_labels": [f"__meta_kubernetes_{source}"], **more}


def _meta(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
