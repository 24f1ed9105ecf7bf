"""A changed spec reaches the running pod in place where it can, and by a new pod where it must."""

from e2e.operator.sandboxes import SMALL, Sandboxes, eventually


def uid(sandboxes: Sandboxes, name: str) -> str | None:
    found: str | None = sandboxes.pod(name).get("metadata", {}).get("uid")
    return found


def test_more_memory_reaches_the_running_processes(sandboxes: Sandboxes) -> None:
    sandboxes.apply("growing")
    sandboxes.wait("growing")
    first = uid(sandboxes, "growing")

    sandboxes.apply("growing", resources={**SMALL, "limits": {**SMALL["limits"], "memory": "192Mi"}})

    def limit() -> str:
        pod = sandboxes.pod("growing")
        statuses = pod["status"].get("containerStatuses", [{}])
        return str(statuses[0].get("resources", {}).get("limits", {}).get("memory"))

    eventually(limit, lambda seen: seen == "192Mi")
    assert uid(sandboxes, "growing") == first
    assert sandboxes.pod("growing")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_labels_change_in_place(sandboxes: Sandboxes) -> None:
    sandboxes.apply("labelled", podTemplate={"metadata": {"labels": {"team": "leads", "tier": "one"}}})
    sandboxes.wait("labelled")
    first = uid(sandboxes, "labelled")

    sandboxes.apply("labelled", podTemplate={"metadata": {"labels": {"team": "sales"}}})

    labels = eventually(
        lambda: sandboxes.pod("labelled")["metadata"]["labels"], lambda seen: seen.get("team") == "sales"
    )
    assert "tier" not in labels
    assert uid(sandboxes, "labelled") == first


def test_another_environment_is_another_pod(sandboxes: Sandboxes) -> None:
    sandboxes.apply("renewed", env=[{"name": "STAGE", "value": "one"}])
    sandboxes.wait("renewed")
    first = uid(sandboxes, "renewed")

    sandboxes.apply("renewed", env=[{"name": "STAGE", "value": "two"}])

    eventually(lambda: uid(sandboxes, "renewed"), lambda seen: seen not in {None, first})
    eventually(lambda: sandboxes.ready("renewed").get("status"), lambda seen: seen == "True")
    assert sandboxes.exec("renewed", "printenv", "STAGE").strip() == "two"


def test_the_runtime_class_is_the_pods(sandboxes: Sandboxes) -> None:
    classes = sandboxes.kubectl("get", "runtimeclasses", "-o", "jsonpath={.items[*].metadata.name}").split()

    for name in classes:
        sandboxes.apply(f"on-{name}", security={"runtimeClassName": name})
    for name in classes:
        sandboxes.wait(f"on-{name}")
        assert sandboxes.pod(f"on-{name}")["spec"]["runtimeClassName"] == name
    assert len(classes) > 1
