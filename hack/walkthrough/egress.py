"""The chapter about egress: a site that is allowed, one that is not, and what is told of that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from installation import NAMESPACE as SYSTEM
from localcluster.errors import ClusterError
from walkthrough.scene import NAMESPACE, ready

if TYPE_CHECKING:
    from walkthrough.stage import Stage

IMAGE = "docker.io/library/python:3.13"
SITE = f"site.{NAMESPACE}.svc.cluster.local"
# A site on the Internet takes its domain alone; this one has an address of the cluster's.
RESEARCHER = """\
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {{name: researcher}}
spec:
  image: {image}
  egress:
    domains: [{site}]
    cidrs: [{{cidr: {address}/32, ports: [80]}}]   # for names that lead to private addresses
"""
FETCH = """\
import sys, urllib.request
try:
    print(sys.argv[1], urllib.request.urlopen(sys.argv[1], timeout=20).status)
except OSError as error:
    print(sys.argv[1], error)
"""
_MOST_SECONDS = 60


def tell(stage: Stage) -> None:
    """Tell the chapter."""
    stage.chapter("One domain", "What a sandbox is allowed it reaches by name, through the gateway, and nothing else.")
    address = _site(stage)
    manifest = RESEARCHER.format(image=IMAGE, site=SITE, address=address)
    stage.say(manifest)
    stage.kubectl("-n", NAMESPACE, "apply", "-f", "-", given=manifest)
    ready(stage, "researcher")
    for url in (f"http://{SITE}/", "https://api.example.com/"):
        stage.kubectl("-n", NAMESPACE, "exec", "sbx-researcher", "--", "python3", "-c", FETCH, url)
    stage.say("What was refused stands with the sandbox, so that its user sees what to ask for:")
    stage.say(_denied(stage))
    stage.say("And every connection is on record:")
    stage.say(_recorded(stage))


def _site(stage: Stage) -> str:
    serve = ("--command", "--", "python3", "-m", "http.server", "80")
    run = ("run", "site", f"--image={IMAGE}", "--image-pull-policy=IfNotPresent", "--port=80", "--expose")
    stage.kubectl("-n", NAMESPACE, *run, *serve)
    stage.kubectl("-n", NAMESPACE, "wait", "pod/site", "--for=condition=Ready", "--timeout=2m", show=False)
    return stage.kubectl("-n", NAMESPACE, "get", "service", "site", "-o", "jsonpath={.spec.clusterIP}", show=False)


def _denied(stage: Stage) -> str:
    """Wait for the Event, which comes within seconds."""
    denied = "involvedObject.name=researcher,reason=Denied"
    arguments = ("get", "events", "--field-selector", denied, "-o", "jsonpath={.items[*].message}")
    until = time.monotonic() + _MOST_SECONDS
    while not (told := stage.kubectl("-n", NAMESPACE, *arguments, show=False)):
        if time.monotonic() > until:
            raise ClusterError("no Event told what the gateway refused")
        time.sleep(0.5)
    return told


def _recorded(stage: Stage) -> str:
    logs = ("logs", "-l", "app.kubernetes.io/component=gateway", "--tail=-1")
    lines = stage.kubectl("-n", SYSTEM, *logs, show=False).splitlines()
    ours = [line for line in lines if '"name":"researcher"' in line and f'"domain":"{SITE}"' in line]
    if not ours:
        raise ClusterError("the gateway has no record of what it let through")
    return ours[-1]
