"""Keys, certificates and kubeconfigs of a control plane, written once per folder."""

from collections.abc import Sequence
from pathlib import Path

from localcluster.components import Layout
from localcluster.kubeconfig import write_kubeconfig
from localcluster.pki import Authority, Pair, signing_key

# Every component under the name that the stock RBAC roles are bound to.
USERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("sandkeeper-admin", ("system:masters",)),
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
}


def write_credentials(layout: Layout) -> None:
    """Write everything that the control plane's programs read, unless the folder has it."""
    finished = layout.pki / "ca.crt"
    if finished.exists():
        return
    layout.pki.mkdir(parents=True, exist_ok=True)
    authority = Authority.new()
    authority.server("kube-apiserver", layout.server_names).write(layout.pki, "apiserver")
    authority.client("kube-apiserver-kubelet-client", ["system:masters"]).write(layout.pki, "kubelet-client")
    key = layout.pki / "service-accounts.key"
    key.touch(mode=0o600)
    key.write_bytes(signing_key())
    for who, (user, groups) in USERS.items():
        client = authority.client(user, groups)
        client.write(layout.pki, who)
        _write(layout, layout.kubeconfig(who), authority, client)
    authority.pair.write(layout.pki, "ca")


def write_user(layout: Layout, path: Path, user: str, groups: Sequence[str]) -> Path:
    """Write a kubeconfig for a further user and return its path."""
    authority = authority_of(layout)
    return _write(layout, path, authority, authority.client(user, groups))


def authority_of(layout: Layout) -> Authority:
    """Return the authority that signs for a control plane whose credentials are written."""
    return Authority(Pair((layout.pki / "ca.crt").read_bytes(), (layout.pki / "ca.key").read_bytes()))


def _write(layout: Layout, path: Path, authority: Authority, client: Pair) -> Path:
    return write_kubeconfig(path, server=layout.url, ca=authority.pair.certificate, client=client)
