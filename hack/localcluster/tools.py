"""The programs of the local cluster by name; ``tool("kubectl")`` builds what is missing and returns its path."""

from functools import cache
from pathlib import Path

from localcluster.errors import ClusterError
from localcluster.gobuild import GoModule, ModuleFile, built

KUBERNETES = GoModule(
    name="kubernetes",
    source="k8s.io/kubernetes",
    packages=(".",),
    aliases=(
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
        "kubectl",
    ),
    stamps=("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
)
CONTAINERD = GoModule(
    name="containerd",
    source="github.com/containerd/containerd/v2",
    packages=tuple(
        f"github.com/containerd/containerd/v2/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    ),
    tags=("no_btrfs", "no_zfs", "no_devmapper"),
    stamps=("github.com/containerd/containerd/v2/version.Version",),
)
RUNC = GoModule(
    name="runc",
    source="github.com/opencontainers/runc",
    packages=("github.com/opencontainers/runc",),
    tags=("seccomp",),
    stamps=("main.version",),
    debian=("gcc", "libc6-dev", "libseccomp-dev", "pkg-config"),
)
CNI = GoModule(
    name="cni",
    source="github.com/containernetworking/plugins",
    packages=tuple(
        f"github.com/containernetworking/plugins/plugins/{name}"
        for name in ("main/ptp", "main/loopback", "ipam/host-local", "meta/portmap")
    ),
)
COREDNS = GoModule(name="coredns", source="github.com/coredns/coredns", packages=(".",))
HELM = GoModule(
    name="helm",
    source="helm.sh/helm/v4",
    packages=("helm.sh/helm/v4/cmd/helm",),
    stamps=("helm.sh/helm/v4/internal/version.version",),
)
HELM_UNITTEST = GoModule(
    name="helm-unittest",
    source="github.com/helm-unittest/helm-unittest",
    packages=("github.com/helm-unittest/helm-unittest/cmd/helm-unittest",),
)
KUBECONFORM = GoModule(
    name="kubeconform",
    source="github.com/yannh/kubeconform",
    packages=("github.com/yannh/kubeconform/cmd/kubeconform",),
    stamps=("main.version",),
)
KWOK = GoModule(
    name="kwok",
    source="sigs.k8s.io/kwok",
    packages=("sigs.k8s.io/kwok/cmd/kwok",),
    stamps=("sigs.k8s.io/kwok/pkg/consts.Version",),
)
KIND = GoModule(name="kind", source="sigs.k8s.io/kind", packages=("sigs.k8s.io/kind",))
# Kubernetes' own tests, the program in the pods that they make, and their runner; pinned as KUBERNETES is, so that what
# both consist of is compiled once.
CONFORMANCE = GoModule(
    name="conformance",
    source="k8s.io/kubernetes",
    packages=("github.com/onsi/ginkgo/v2/ginkgo", "k8s.io/kubernetes/test/images/agnhost"),
    stamps=KUBERNETES.stamps,
    tests=("k8s.io/kubernetes/test/e2e",),
)
# The programs that stand between claims and a CSI driver, with their rights and objects, and the languages that they
# and the kubelet speak to it.
SNAPSHOT_KINDS = ("volumesnapshots", "volumesnapshotcontents", "volumesnapshotclasses")
STORAGE = GoModule(
    name="storage",
    source="github.com/kubernetes-csi/external-snapshotter/v8",
    packages=(
        "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
        "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer",
        "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter",
        "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller",
    ),
    files=(
        ModuleFile("github.com/container-storage-interface/spec", "csi.proto", "csi.proto"),
        ModuleFile("k8s.io/kubelet", "pkg/apis/pluginregistration/v1/api.proto", "registration.proto"),
        *(
            ModuleFile(f"github.com/kubernetes-csi/{module}", f"deploy/kubernetes/{path}", f"{name}.yaml")
            for name, module, path in (
                ("csi-provisioner", "external-provisioner/v6", "rbac.yaml"),
                ("csi-resizer", "external-resizer/v2", "rbac.yaml"),
                ("csi-snapshotter", "external-snapshotter/v8", "csi-snapshotter/rbac-csi-snapshotter.yaml"),
                ("snapshot-controller", "external-snapshotter/v8", "snapshot-controller/rbac-snapshot-controller.yaml"),
                (
                    "snapshot-controller-deployment",
                    "external-snapshotter/v8",
                    "snapshot-controller/setup-snapshot-controller.yaml",
                ),
            )
        ),
        *(
            ModuleFile(
                "github.com/kubernetes-csi/external-snapshotter/client/v8",
                f"config/crd/snapshot.storage.k8s.io_{kind}.yaml",
                f"{kind}.yaml",
            )
            for kind in SNAPSHOT_KINDS
        ),
    ),
)
CSI_SANITY = GoModule(
    name="csi-sanity",
    source="github.com/kubernetes-csi/csi-test/v5",
    packages=("github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity",),
)
# Without its pages, which its module does not have, and finding what it scrapes in no place but a cluster.
PROMETHEUS = GoModule(
    name="prometheus",
    source="github.com/prometheus/prometheus",
    packages=("github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool"),
    tags=("remove_all_sd", "enable_kubernetes_sd"),
    stamps=("github.com/prometheus/common/version.Version",),
)

MODULES = (
    *(KUBERNETES, HELM, HELM_UNITTEST, KUBECONFORM, KWOK, CONTAINERD, RUNC, CNI, COREDNS, STORAGE, KIND),
    *(CONFORMANCE, CSI_SANITY, PROMETHEUS),
)
# Built by what runs them alone: minutes that nothing else has to wait for.
ON_DEMAND = (CONFORMANCE, CSI_SANITY, PROMETHEUS)
NODE_MODULES = (KUBERNETES, CONTAINERD, RUNC, CNI, COREDNS, STORAGE)
PROGRAMS = {program: module for module in MODULES for program in module.programs}


@cache
def tool(name: str) -> Path:
    """Return the path of a program, built first if this version of it was never built on this machine.

    Parameters
    ----------
    name
        A program's name, as ``kubectl`` or ``containerd-shim-runc-v2``.

    Raises
    ------
    ClusterError
        If there is no such program, or its build fails.
    """
    if name not in PROGRAMS:
        raise ClusterError(f"there is no program {name!r}; there are: {', '.join(sorted(PROGRAMS))}")
    return built(PROGRAMS[name]) / name
