"""The operator is measured with the rights and settings that the chart gives it."""

from benchmark.chart import divided

DEPLOYMENT = {
    "kind": "Deployment",
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


def test_settings_are_what_the_chart_fixes() -> None:
    assert divided([DEPLOYMENT]).settings == {"SANDKEEPER_SHARDS": "8"}
