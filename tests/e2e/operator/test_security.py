"""What `security` asks for holds on a node: as whom a sandbox runs, what it may write, how much it may take."""

import json
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.operator.sandboxes import SMALL, Sandboxes, eventually
from e2e.operator.test_first_sandbox import EXAMPLES
from installation import Installation

PYTHON = "docker.io/library/python:3.13"
LIMIT_OF_PROCESSES = 1024
# Children that only sleep: as many as the kernel lets it have, and not for long.
FORKS = """
import os, time
children = 0
try:
    while children < 5000:
        if os.fork() == 0:
            time.sleep(120)
            os._exit(0)
        children += 1
except BlockingIOError:
    pass
print(children, flush=True)
time.sleep(120)
"""
SECONDS = "31415.9265"
LISTENER = f"import socket, time; s = socket.create_server(('', 4747)); time.sleep({SECONDS})"
SECRET_PLACES = ("/workspace", "/tmp", "/root", "/dev/shm", "/var/tmp")
AT_HOME_ONLY = [("root", True), ("other", False)]
SNIFF = """
import socket
for family, protocol in ((socket.AF_PACKET, 0x300), (socket.AF_INET, 6), (socket.AF_INET6, 58)):
    try:
        socket.socket(family, socket.SOCK_RAW, protocol)
        print("open")
    except PermissionError:
        print("closed")
"""
DEBIAN_PACKAGE = """
mkdir -p deb/DEBIAN deb/usr/bin
cat > deb/DEBIAN/control <<END
Package: greeter
Version: 1
Architecture: all
Maintainer: Test <test@example.com>
Description: greets
END
cat > deb/DEBIAN/postinst <<'END'
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
useradd --system --create-home --home-dir /var/lib/greeter greeter
chown root:greeter /usr/bin/greeter
chmod 4755 /usr/bin/greeter
setcap cap_net_bind_service=+ep /usr/bin/greeter-helper
END
printf '#!/bin/sh\\necho hello' > deb/usr/bin/greeter
cp /bin/true deb/usr/bin/greeter-helper
chmod 755 deb/DEBIAN/postinst deb/usr/bin/*
dpkg-deb --root-owner-group --build deb greeter.deb
apt-get install --yes ./greeter.deb
stat -c %U:%G:%a /var/lib/greeter /usr/bin/greeter
getcap /usr/bin/greeter-helper
su greeter -s /bin/sh -c greeter
apt-get purge --yes greeter
test ! -e /usr/bin/greeter && echo removed
"""
PYTHON_PACKAGE = """
mkdir -p src
printf 'print("hello from a package")' > src/greeter_module.py
cat > src/pyproject.toml <<END
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "greeter"
version = "1"
[tool.setuptools]
py-modules = ["greeter_module"]
END
pip install --quiet --no-index --no-build-isolation --break-system-packages ./src 2>/dev/null
cd / && python3 -m greeter_module
"""
# What npm does as root with a package: unpack it as its owner, link its program, run its scripts as the folder's owner.
UNPACKED_PACKAGE = """
mkdir -p package/bin
printf '#!/bin/sh\\necho "owner $(id -u)"' > package/bin/greet
chmod 755 package/bin/greet
chown -R 4242:4242 package
tar -cf package.tar package && rm -r package
tar --same-owner -xf package.tar -C /usr/local/lib
ln -s ../lib/package/bin/greet /usr/local/bin/greet
setpriv --reuid 4242 --regid 4242 --clear-groups greet
"""


def limits(**more: str) -> dict[str, Any]:
    return {**SMALL, "limits": {**SMALL["limits"], **more}}


LITTLE_DISK = limits(**{"ephemeral-storage": "32Mi"})
# By name, since all start at once. What needs to be alone with its damage has a name of its own.
CREW: dict[str, dict[str, Any]] = {
    "root": {},
    "other": {},
    "plain": {"security": {"root": False}},
    "locked": {
        "image": PYTHON,
        "security": {"runtimeClassName": "gvisor", "root": False, "writablePaths": ["/workspace", "/tmp"]},
    },
    "closed": {"security": {"writablePaths": []}},
    "never": {"security": {"userNamespace": "Never"}},
    "required": {"security": {"userNamespace": "Required"}},
    "forking": {"command": ["python3", "-c", FORKS], "resources": limits(memory="1Gi")},
    "fills-root": {"resources": LITTLE_DISK},
    "fills-workspace": {"resources": LITTLE_DISK},
    "fills-tmp": {"resources": LITTLE_DISK, "security": {"writablePaths": ["/tmp"]}},
}


def runtime_class(name: str, handler: str) -> str:
    return json.dumps(
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}
    )


@pytest.fixture(scope="module")
def crew(kubectl: Kubectl, installation: Installation) -> Iterator[Sandboxes]:
    """Sandboxes of every kind of security, running side by side; the node's second runtime stands in for gVisor."""
    namespace = f"security-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    sandboxes = Sandboxes(kubectl, namespace)
    there = kubectl("get", "runtimeclass", "gvisor", "--ignore-not-found", "-o", "name")
    if not there:
        kubectl("apply", "-f", "-", given=runtime_class("gvisor", "runc-alt"))
    manifests = [json.dumps(sandboxes.manifest(name, **spec)) for name, spec in CREW.items()]
    sandboxes.kubectl("apply", "-f", "-", given="\n---\n".join(manifests))
    sandboxes.kubectl("wait", "sandbox", "--all", "--for=condition=Ready", "--timeout=55s")
    yield sandboxes
    kubectl("delete", "namespace", namespace, "--wait=false")
    if not there:
        kubectl("delete", "runtimeclass", "gvisor")


def shell(sandboxes: Sandboxes, name: str, script: str) -> list[str]:
    """Run a script in a sandbox's workspace, and return the lines that it prints."""
    return sandboxes.exec(name, "sh", "-ec", script).splitlines()


def refused(sandboxes: Sandboxes, name: str, script: str) -> str:
    """Run a script that has to fail, and return what it says."""
    return sandboxes._kubectl.refused("-n", sandboxes.namespace, "exec", f"sbx-{name}", "--", "sh", "-c", script)


def process(sandboxes: Sandboxes, name: str) -> dict[str, str]:
    """What the kernel says of a process in a sandbox."""
    lines = shell(sandboxes, name, "cat /proc/self/status")
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def events(sandboxes: Sandboxes, name: str) -> str:
    """What was announced of a sandbox."""
    return sandboxes.kubectl("events", "--for", f"sandbox/{name}")


def another_pod(sandboxes: Sandboxes, name: str, before: str) -> bool:
    """Whether the sandbox has a pod that is not the one of before."""
    return sandboxes.pod(name).get("metadata", {}).get("uid") not in {None, before}


def test_apt_installs_a_package_that_adds_a_user_and_capabilities(crew: Sandboxes) -> None:
    said = shell(crew, "root", DEBIAN_PACKAGE)

    for line in ("greeter:greeter:755", "root:greeter:4755", "/usr/bin/greeter-helper cap_net_bind_service=ep"):
        assert line in said
    assert "hello" in said
    assert said[-1] == "removed"


def test_pip_builds_and_installs_a_package(crew: Sandboxes) -> None:
    assert shell(crew, "root", PYTHON_PACKAGE)[-1] == "hello from a package"


def test_a_package_is_unpacked_with_its_owner_and_linked(crew: Sandboxes) -> None:
    assert shell(crew, "root", UNPACKED_PACKAGE) == ["owner 4242"]


def test_without_root_there_is_no_way_to_become_root(crew: Sandboxes) -> None:
    seen = process(crew, "plain")

    assert shell(crew, "plain", "id -u; id -g; id -G; pwd; echo $HOME") == [
        *("1000", "1000", "1000", "/workspace", "/workspace")
    ]
    assert [int(seen[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")] == [0] * 5
    assert seen["NoNewPrivs"] == "1"
    assert "Permission denied" in refused(crew, "plain", "touch /etc/mine")
    assert "Permission denied" in refused(crew, "plain", "cat /etc/shadow")
    refused(crew, "plain", "su root -c id </dev/null")
    assert crew.get("sandbox", "plain")["status"]["userNamespace"] is True


def test_without_root_the_workspace_is_a_home(crew: Sandboxes) -> None:
    script = "git config --global user.name agent; python3 -m venv --without-pip venv; stat -c %u:%g ~/.gitconfig venv"

    assert shell(crew, "plain", script) == ["1000:1000", "1000:1000"]


def test_a_locked_down_sandbox_writes_only_where_it_may(crew: Sandboxes) -> None:
    pod = crew.pod("locked")["spec"]
    script = "for path in /workspace /tmp /dev/shm; do echo x > $path/mine && cat $path/mine; done; python3 --version"

    assert pod["runtimeClassName"] == "gvisor"
    assert shell(crew, "locked", script)[:3] == ["x", "x", "x"]
    for path in ("/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/usr/local/bin", "/var/lib", "/var/tmp"):
        assert (
            refused(crew, "locked", f"touch {path}/mine")
            .splitlines()[0]
            .endswith(("Read-only file system", "Permission denied"))
        )


def test_even_root_writes_only_where_it_may(crew: Sandboxes) -> None:
    mounts = [line.split() for line in shell(crew, "closed", "cat /proc/self/mounts")]
    on_disk = [mount for mount in mounts if mount[0] == "overlay" or mount[0].startswith("/dev/")]
    writable = {place for _, place, _, options, *_ in on_disk if "rw" in options.split(",")}

    assert shell(crew, "closed", "id -u; echo $HOME; touch /workspace/mine /dev/shm/mine") == ["0", "/workspace"]
    for path in ("/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local/bin", "/var/tmp"):
        assert "Read-only file system" in refused(crew, "closed", f"touch {path}/mine")
    refused(crew, "closed", "mount -o remount,rw /")
    # What the kubelet puts into every container belongs to the pod.
    assert writable == {"/workspace", "/etc/hosts", "/dev/termination-log"}


def test_an_example_is_locked_down(crew: Sandboxes) -> None:
    crew.kubectl("apply", "-f", str(EXAMPLES / "locked-down.yaml"))

    crew.wait("locked-down")

    assert shell(crew, "locked-down", "id -u; touch /tmp/a a") == ["1000"]
    assert crew.get("sandbox", "locked-down")["status"]["userNamespace"] is True
    crew.kubectl("delete", "sandbox", "locked-down", "--wait=false")


@pytest.mark.parametrize(("name", "isolated"), [("required", True), ("never", False), ("root", True)])
def test_a_user_namespace_is_had_as_asked(crew: Sandboxes, name: str, isolated: bool) -> None:
    _, first_outside, _ = shell(crew, name, "cat /proc/self/uid_map")[0].split()

    assert (int(first_outside) > 0) == isolated
    assert crew.get("sandbox", name)["status"]["userNamespace"] is isolated


def test_a_required_user_namespace_is_waited_for(crew: Sandboxes, kubectl: Kubectl) -> None:
    name = f"unable-{uuid.uuid4().hex[:8]}"
    kubectl("apply", "-f", "-", given=runtime_class(name, "no-such-handler"))
    crew.apply("waiting", security={"userNamespace": "Required", "runtimeClassName": name})
    ready = eventually(lambda: crew.ready("waiting"), lambda seen: seen.get("reason") == "NoUserNamespace")
    node = crew.pod("root")["spec"]["nodeName"]
    assert f"RuntimeClass {name} (handler no-such-handler) has user namespaces on no node" in ready["message"]
    assert f"not on {node}" in ready["message"]
    assert crew.pod("waiting") == {}

    kubectl("delete", "runtimeclass", name)
    kubectl("apply", "-f", "-", given=runtime_class(name, "runc-alt"))

    crew.wait("waiting")
    assert crew.pod("waiting")["spec"]["hostUsers"] is False
    kubectl("delete", "runtimeclass", name)


def test_processes_are_limited_and_the_neighbour_has_its_own(crew: Sandboxes) -> None:
    made = eventually(lambda: crew.kubectl("logs", "sbx-forking").split(), bool)

    assert 0.9 * LIMIT_OF_PROCESSES < int(made[0]) < LIMIT_OF_PROCESSES
    assert "fork" in refused(crew, "forking", "/bin/true; echo not reached")
    assert shell(crew, "other", "for n in $(seq 100); do /bin/true; done; echo works") == ["works"]
    crew.kubectl("delete", "sandbox", "forking", "--wait=false")


def test_shared_memory_is_half_of_the_memory_limit(crew: Sandboxes) -> None:
    kind, blocks, size = shell(crew, "root", "stat -f -c '%T %b %S' /dev/shm")[0].split()

    assert (kind, int(blocks) * int(size)) == ("tmpfs", 64 << 20)
    assert "No space left" in refused(crew, "closed", "head -c 65M /dev/zero > /dev/shm/full; rm /dev/shm/full; false")


def test_who_fills_the_disk_is_evicted_and_comes_back(crew: Sandboxes) -> None:
    places = {"fills-root": "/opt", "fills-workspace": "/workspace", "fills-tmp": "/tmp"}
    before = {name: crew.pod(name)["metadata"]["uid"] for name in (*places, "other")}

    for name, path in places.items():
        shell(crew, name, f"head -c 64M /dev/zero > {path}/full")

    for name, path in places.items():
        told = eventually(partial(events, crew, name), lambda seen: "Evicted" in seen)
        assert "ephemeral" in told
        eventually(partial(another_pod, crew, name, before[name]), bool)
        crew.wait(name)
        assert "full" not in shell(crew, name, f"ls {path}")
    assert not another_pod(crew, "other", before["other"])
    assert shell(crew, "other", "echo y > /workspace/mine && cat /workspace/mine") == ["y"]


def listening(sandboxes: Sandboxes, name: str) -> bool:
    """Whether the port is listened on, as far as the sandbox sees."""
    return shell(sandboxes, name, "grep -c ':128B .* 0A ' /proc/net/tcp || true") == ["1"]


@pytest.fixture(scope="module")
def secret(crew: Sandboxes) -> str:
    """A word in files, in the shared memory and in a process of one sandbox, which also listens on a port."""
    secret = uuid.uuid4().hex
    shell(crew, "root", f"for path in {' '.join(SECRET_PLACES)}; do echo {secret} > $path/secret; done")
    shell(crew, "root", f'SECRET={secret} nohup python3 -c "{LISTENER}" >/dev/null 2>&1 &')
    eventually(partial(listening, crew, "root"), bool)
    return secret


@pytest.mark.parametrize(("name", "found"), AT_HOME_ONLY)
def test_files_of_one_sandbox_are_not_in_another(crew: Sandboxes, secret: str, name: str, found: bool) -> None:
    search = f"grep -rlsx {secret} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr | wc -l"

    assert int(shell(crew, name, search)[0]) == (len(SECRET_PLACES) if found else 0)


@pytest.mark.parametrize(("name", "found"), AT_HOME_ONLY)
def test_processes_of_one_sandbox_are_not_in_another(crew: Sandboxes, secret: str, name: str, found: bool) -> None:
    running = shell(crew, name, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    variables = shell(crew, name, f"grep -lsz SECRET={secret} /proc/[0-9]*/environ | wc -l")

    assert any(SECONDS in line for line in running) == found
    assert (int(variables[0]) > 0) == found


@pytest.mark.parametrize(("name", "found"), AT_HOME_ONLY)
def test_connections_of_one_sandbox_are_not_in_another(crew: Sandboxes, secret: str, name: str, found: bool) -> None:
    assert listening(crew, name) == found


def test_a_sandbox_hears_no_traffic_but_its_own(crew: Sandboxes) -> None:
    assert crew.exec("other", "python3", "-c", SNIFF).split() == ["closed"] * 3
    assert sorted(shell(crew, "other", "ls /sys/class/net")) == ["eth0", "lo"]
