"""The story itself: one function a chapter, each ends in something that was seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from installation import Installation
from localcluster.errors import ClusterError
from localcluster.images.guest import build_guest_image, guest_image_name
from localcluster.images.operator import build_operator_image, operator_image_name
from localcluster.progress import step
from localcluster.tools import tool
from walkthrough import copies, egress
from walkthrough.scene import NAMESPACE, apply, ready

if TYPE_CHECKING:
    from localcluster.driver import Driver
    from walkthrough.stage import Stage

WRONG = """\
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {name: wrong}
spec:
  workspace: {path: work}
  ports: [{name: web, port: 70000}]
"""
OPENING = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open-everything}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{}]}
"""
CHANGE = """\
echo "listen = 8080" > /etc/agent.conf
rm /etc/issue
echo "half a report" > /workspace/report
"""
LOOK = """\
cat /etc/motd /etc/agent.conf /workspace/report; id agent
test -e /etc/issue && echo "/etc/issue is back" || echo "/etc/issue is still deleted"
"""
CONNECT = """\
try() {{ timeout 3 bash -c "exec 3<>/dev/tcp/$2" 2>/dev/null && echo "$1: reached" || echo "$1: no answer"; }}
try neighbour {neighbour}/8080
try API $KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT
try DNS {dns}/53
getent hosts example.com || echo "example.com: no such name"
"""
BY_HAND = """\
The cluster goes on running. To go on by hand:

  export KUBECONFIG={kubeconfig}
  export PATH={bin}:$PATH        # kubectl of the cluster's version
  kubectl create namespace mine
  kubectl -n mine apply -f docs/examples/minimal.yaml
  kubectl -n mine wait sandbox/hello --for=condition=Running
  kubectl -n mine exec -it sbx-hello -- bash
  kubectl explain sandbox.spec
  kubectl -n sandkeeper-system logs -l app.kubernetes.io/name=sandkeeper --tail=-1 | grep mine/hello
  hack/cluster status
  hack/demo down                 # removes everything
"""


def tell(driver: Driver, stage: Stage) -> None:
    """Tell the whole story."""
    stage.chapter("A cluster", f"A real Kubernetes of your own, by the driver {driver.name}.")
    driver.up()
    stage.kubeconfig = driver.kubeconfig
    stage.kubectl("get", "nodes")
    _install(driver, stage)
    stage.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", show=False)
    stage.kubectl("create", "namespace", NAMESPACE, show=False)
    _first_sandbox(stage)
    _agent(stage)
    _closed(stage)
    egress.tell(stage)
    _comes_back(stage)
    _sleeps(stage)
    copies.tell(stage)
    _refused(stage)
    _nothing_left(stage)
    stage.chapter("Your turn", BY_HAND.format(kubeconfig=driver.kubeconfig, bin=_kubectl_folder()))


def _install(driver: Driver, stage: Stage) -> None:
    stage.chapter("The operator", "Its image is built from this checkout and its chart installed by Helm.")
    image = operator_image_name()
    driver.load(str(build_operator_image()))
    driver.load(str(build_guest_image()))
    with step(f"helm upgrade --install sandkeeper charts/sandkeeper (image {image})"):
        Installation(driver.kubeconfig, image, guest_image_name(), driver.chart_values).install()
    stage.kubectl("-n", "sandkeeper-system", "get", "deployments,pods")
    stage.say("No sandbox starts before a canary has tried whether the network of this cluster holds the fence:")
    result = ("-n", "sandkeeper-system", "configmap/sandkeeper-enforcement")
    stage.kubectl("wait", *result, "--for=create", "--timeout=2m", show=False)
    stage.kubectl("get", *result, "-o", "jsonpath={.data.result}: {.data.message}")


def _first_sandbox(stage: Stage) -> None:
    stage.chapter("A first sandbox", "Four lines of YAML; every setting has a default.")
    apply(stage, "minimal.yaml", show=True)
    ready(stage, "hello")
    stage.say("A machine of its own: root inside, an ordinary user outside, no token of the cluster.")
    script = "id; grep PRETTY /etc/os-release; echo uids inside, outside, count: $(cat /proc/self/uid_map)"
    stage.kubectl("-n", NAMESPACE, "exec", "sbx-hello", "--", "sh", "-c", script)


def _agent(stage: Stage) -> None:
    stage.chapter("An agent's sandbox", "Image, command, environment, a port, limits and a label of its own.")
    apply(stage, "agent.yaml")
    ready(stage, "leads-agent")
    stage.kubectl("-n", NAMESPACE, "get", "sandboxes", "-o", "wide")
    stage.say("Its port is reached by its name from the same namespace:")
    fetch = "import urllib.request as r; print('HTTP', r.urlopen('http://leads-agent:8080/', timeout=30).status)"
    stage.kubectl(
        "-n", NAMESPACE, "run", "teammate", "--image=docker.io/library/python:3.13", "--image-pull-policy=IfNotPresent",
        "--restart=Never", "--", "python3", "-c", fetch,
    )  # fmt: skip
    # Not attached: what is printed before `kubectl run -i` has attached may be lost.
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    stage.kubectl("-n", NAMESPACE, "wait", "pod/teammate", succeeded, "--timeout=2m")
    stage.kubectl("-n", NAMESPACE, "logs", "teammate")
    stage.kubectl("-n", NAMESPACE, "delete", "pod", "teammate", "--now", show=False)


def _closed(stage: Stage) -> None:
    stage.chapter("A closed network", "Root inside, and nobody outside answers: no neighbour, no API, no names.")
    address = ("get", "sandbox", "leads-agent", "-o", "jsonpath={.status.podIP}")
    service = ("get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}")
    script = CONNECT.format(
        neighbour=stage.kubectl("-n", NAMESPACE, *address, show=False),
        dns=stage.kubectl("-n", "kube-system", *service, show=False),
    )
    stage.kubectl("-n", NAMESPACE, "exec", "sbx-hello", "--", "bash", "-c", script)
    stage.say("Network policies add up, so one more could open it. Whoever may write them is refused:")
    stage.refused("-n", NAMESPACE, "apply", "-f", "-", given=OPENING)


def _comes_back(stage: Stage) -> None:
    stage.chapter("A pod is lost", "Whatever ends the pod, the sandbox gets a new one.")
    before = _uid(stage, "hello")
    stage.kubectl("-n", NAMESPACE, "delete", "pod", "sbx-hello")
    started = time.monotonic()
    while _uid(stage, "hello") in {"", before}:
        if time.monotonic() - started > 120:
            raise ClusterError("no new pod came")
        time.sleep(0.2)
    ready(stage, "hello")


def _sleeps(stage: Stage) -> None:
    stage.chapter("Sleep", "What an agent made of its machine outlives the pod: workspace and system.")
    apply(stage, "workbench.yaml", show=True)
    ready(stage, "workbench")
    stage.say("Setup has run. Now its agent changes the system and the workspace, and it is put to sleep:")
    stage.kubectl("-n", NAMESPACE, "exec", "sbx-workbench", "--", "sh", "-c", CHANGE)
    _state(stage, "Sleeping")
    started = time.monotonic()
    stage.kubectl("-n", NAMESPACE, "wait", "pod/sbx-workbench", "--for=delete", "--timeout=2m")
    stage.say(f"Its pod was gone after {time.monotonic() - started:.1f} s, and its claim is there:")
    stage.kubectl("-n", NAMESPACE, "get", "sandbox/workbench", "pvc/sbx-workbench")
    _state(stage, "Running")
    ready(stage, "workbench", "Running")
    stage.say("Everything is still there, and setup has not run again:")
    stage.kubectl("-n", NAMESPACE, "exec", "sbx-workbench", "--", "sh", "-c", LOOK)


def _state(stage: Stage, state: str) -> None:
    patch = f'{{"spec": {{"lifecycle": {{"state": "{state}"}}}}}}'
    stage.kubectl("-n", NAMESPACE, "patch", "sandbox", "workbench", "--type=merge", "--patch", patch)


def _refused(stage: Stage) -> None:
    stage.chapter("A wrong YAML", "It is refused at once, with a sentence for each mistake.")
    stage.say(WRONG)
    stage.refused("-n", NAMESPACE, "apply", "-f", "-", given=WRONG)


def _nothing_left(stage: Stage) -> None:
    stage.chapter("The end", "Deleting sandboxes leaves nothing of them but their snapshots, which go by themselves.")
    stage.kubectl("-n", NAMESPACE, "delete", "sandboxes", "--all")
    stage.kubectl("-n", NAMESPACE, "get", "sandboxsnapshots")
    stage.kubectl("-n", NAMESPACE, "delete", "sandboxsnapshots", "--all")
    stage.kubectl("-n", NAMESPACE, "delete", "pod,service", "site", "--now", show=False)
    children = "pods,services,networkpolicies,persistentvolumeclaims,volumesnapshots"
    seconds = stage.wait_until_empty("-n", NAMESPACE, "get", children, "-o", "name")
    stage.say(f"Pods, claims, Services, NetworkPolicies and VolumeSnapshots were gone {seconds:.1f} s later:")
    stage.kubectl("-n", NAMESPACE, "get", children)
    stage.kubectl("delete", "namespace", NAMESPACE, show=False)


def _uid(stage: Stage, name: str) -> str:
    arguments = ("get", "pod", f"sbx-{name}", "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
    return stage.kubectl("-n", NAMESPACE, *arguments, show=False)


def _kubectl_folder() -> str:
    return str(tool("kubectl").parent)
