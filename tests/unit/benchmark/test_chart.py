"""The operator is measured with the rights and settings that the chart gives it."""

from benchmark.chart import divided

GATEWAY = {"kind": "Deployment", "metadata": {"labels": {"app.kubernetes.io/component": "gateway"}}}
DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"labels": {"app.kubernetes.io/component": "operator"}},
    "spec": {
        "template": {
            "spec": {
                "serviceAccountName": "keeper",
                "containers": [
                    {
                        "env": [
                            {"name": "SANDKEEPER_SHARDS", "value": "8"},
                            {"name": "SANDKEEPER_NAMESPACE", "valueFrom": {"fieldRef": {}}},
                        ]
                    }
                ],
            }
        }
    },
}


def test_rights_are_applied_and_what_starts_the_pod_is_not() -> None:
    installed = divided([{"kind": "ClusterRole"}, DEPLOYMENT, {"kind": "PriorityClass"}, {"kind": "NetworkPolicy"}])

    assert [document["kind"] for document in installed.objects] == ["ClusterRole", "PriorityClass"]
    assert installed.user == "system:serviceaccount:sandkeeper-system:keeper"


def test_what_puts_policies_in_force_is_known() -> None:
    binding = {"kind": "ValidatingAdmissionPolicyBinding"}

    installed = divided([{"kind": "ValidatingAdmissionPolicy"}, binding, DEPLOYMENT])

    assert installed.bindings == [binding]
    assert len(installed.objects) == 2


def test_settings_are_what_the_chart_fixes() -> None:
    assert divided([GATEWAY, DEPLOYMENT]).settings == {"SANDKEEPER_SHARDS": "8"}
