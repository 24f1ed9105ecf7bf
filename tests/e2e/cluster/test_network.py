"""Names, Services and addresses in the local cluster."""

from e2e.cluster.conftest import Pods

WHO_ASKS = """
mkdir -p /tmp/cgi-bin
printf '#!/bin/sh\\necho\\necho $REMOTE_ADDR\\n' > /tmp/cgi-bin/who
chmod +x /tmp/cgi-bin/who
exec httpd -f -p 8080 -h /tmp
"""
# The Service answers a moment after its endpoints are known.
PATIENT_QUESTION = """
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  timeout 2 wget -q -O - http://server/cgi-bin/who && exit
  sleep 1
done
exit 1
"""


def test_the_apiservers_name_resolves_in_a_pod(pods: Pods) -> None:
    address = pods("get", "service", "kubernetes", "--namespace", "default", "-o", "jsonpath={.spec.clusterIP}")
    pods.run("asker")

    answer = pods.inside("asker", "nslookup", "kubernetes.default.svc.cluster.local")

    assert address in answer


def test_a_service_sees_the_address_of_the_pod_that_asks(pods: Pods) -> None:
    pods.run("server", WHO_ASKS)
    pods("expose", "pod", "server", "--port=80", "--target-port=8080")
    pods.run("asker")
    own_address = pods("get", "pod", "asker", "-o", "jsonpath={.status.podIP}")

    seen = pods.inside("asker", "sh", "-c", PATIENT_QUESTION)

    # The server speaks IPv6, in which an IPv4 address has a prefix.
    assert seen.strip().strip("[]").removeprefix("::ffff:") == own_address


def test_a_pods_words_come_back_through_exec_and_logs(pods: Pods) -> None:
    pods.run("speaker", "echo hello; sleep 1000")

    assert pods("logs", "speaker") == "hello\n"
    assert pods("exec", "-i", "speaker", "--", "cat", given="typed in") == "typed in"
