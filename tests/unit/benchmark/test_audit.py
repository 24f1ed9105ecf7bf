"""Requests are counted by who sent them, from lines as an apiserver writes them."""

from collections import Counter
from pathlib import Path

from benchmark.audit import AuditLog, Request, requests_in

USERS = {"system:serviceaccount:sandkeeper-system:sandkeeper-operator": "operator", "benchmark-client": "client"}

CREATED = (
    b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"5f4c","stage":"ResponseComplete",'
    b'"requestURI":"/apis/sandkeeper.dev/v1alpha1/namespaces/benchmark-00/sandboxes?fieldValidation=Strict",'
    b'"verb":"create","user":{"username":"benchmark-client","groups":["system:masters","system:authenticated"]},'
    b'"sourceIPs":["127.0.0.1"],"userAgent":"sandkeeper-benchmark","objectRef":{"resource":"sandboxes",'
    b'"namespace":"benchmark-00","name":"a","apiGroup":"sandkeeper.dev","apiVersion":"v1alpha1"},'
    b'"responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2026-11-22T03:28:25.588697Z"}'
)
STATUS_PATCHED = (
    b'{"stage":"ResponseComplete","verb":"patch",'
    b'"user":{"username":"system:serviceaccount:sandkeeper-system:sandkeeper-operator"},'
    b'"objectRef":{"resource":"sandboxes","subresource":"status"},"responseStatus":{"metadata":{},"code":200}}'
)
BOUND = (
    b'{"stage":"ResponseComplete","verb":"create","user":{"username":"system:kube-scheduler"},'
    b'"objectRef":{"resource":"pods","subresource":"binding"},"responseStatus":{"metadata":{},"code":201}}'
)
COLLECTED_TOO_LATE = (
    b'{"stage":"ResponseComplete","verb":"delete",'
    b'"user":{"username":"system:serviceaccount:kube-system:generic-garbage-collector"},'
    b'"objectRef":{"resource":"pods"},"responseStatus":{"metadata":{},"status":"Failure","code":404}}'
)
PROBED = (
    b'{"stage":"ResponseComplete","verb":"get","requestURI":"/healthz","user":{"username":"system:apiserver"},'
    b'"responseStatus":{"metadata":{},"code":200}}'
)
RECEIVED = CREATED.replace(b"ResponseComplete", b"RequestReceived")


def test_a_request_is_counted_for_the_client_that_its_user_stands_for() -> None:
    assert requests_in([CREATED, STATUS_PATCHED, STATUS_PATCHED, BOUND], USERS) == Counter(
        {
            Request("client", "create", "sandboxes"): 1,
            Request("operator", "patch", "sandboxes/status"): 2,
            Request("scheduler", "create", "pods/binding"): 1,
        }
    )


def test_a_refused_request_has_a_row_of_its_own() -> None:
    (request,) = requests_in([COLLECTED_TOO_LATE], USERS)

    assert str(request) == "controller-manager: delete pods → 404"


def test_a_request_counts_once_although_the_log_may_tell_each_of_its_stages() -> None:
    assert requests_in([RECEIVED, CREATED, b""], USERS).total() == 1


def test_what_goes_on_anyway_is_told_from_what_an_object_costs() -> None:
    (probe,) = requests_in([PROBED], USERS)

    assert probe.standing
    assert Request("operator", "patch", "leases").standing
    assert Request("kwok", "watch", "pods").standing
    assert not Request("operator", "patch", "sandboxes/status").standing


def test_an_interval_holds_what_came_since_the_last_and_no_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(CREATED + b"\n")
    log = AuditLog(path, USERS)
    log.skip()
    path.write_bytes(CREATED + b"\n" + BOUND + b"\n" + STATUS_PATCHED[:40])

    first = log.take()
    path.write_bytes(CREATED + b"\n" + BOUND + b"\n" + STATUS_PATCHED + b"\n")
    second = log.take()

    assert [request.client for request in first] == ["scheduler"]
    assert [request.client for request in second] == ["operator"]
