"""Arguments and configuration files of the cluster's programs."""

import json
from pathlib import Path

import pytest
import yaml

from localcluster import components
from localcluster.components import Layout, Ports
from localcluster.controlplane import ControlPlane
from localcluster.errors import ClusterError
from localcluster.native import containerd, kubelet
from localcluster.native.plan import NodePlan

LOOPBACK = Layout(Path("/cluster"), "127.0.0.1", Ports())
NODE = Layout(Path("/cluster"), "10.231.0.2", Ports(), pod_cidr="10.244.0.0/22")
PLAN = NodePlan("01234567", Path("/state"), "10.231.0.0/30", "release")


def test_the_apiserver_authorizes_by_rbac_and_publishes_only_an_address_that_others_reach() -> None:
    assert "--authorization-mode=Node,RBAC" in components.kube_apiserver(LOOPBACK)
    assert "--endpoint-reconciler-type=none" in components.kube_apiserver(LOOPBACK)
    assert "--endpoint-reconciler-type=lease" in components.kube_apiserver(NODE)


def test_the_apiservers_extra_flags_come_last_so_that_they_win() -> None:
    assert components.kube_apiserver(LOOPBACK, extra=["--authorization-mode=AlwaysAllow"])[-1].endswith("AlwaysAllow")


def test_an_audit_log_is_written_only_where_there_is_a_policy() -> None:
    without = components.kube_apiserver(LOOPBACK)
    with_policy = components.kube_apiserver(LOOPBACK, audit_policy=Path("/policy"))

    assert not [flag for flag in without if "audit" in flag]
    assert "--audit-log-path=/cluster/audit.log" in with_policy


def test_the_single_node_gets_the_whole_range_of_pods() -> None:
    assert "--node-cidr-mask-size=22" in components.kube_controller_manager(NODE)
    assert not [flag for flag in components.kube_controller_manager(LOOPBACK) if "cidr" in flag]


def test_an_unknown_component_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no such control-plane component: kube-scheduller"):
        ControlPlane(tmp_path, ("etcd", "kube-scheduller"))


@pytest.mark.parametrize(("capabilities", "restricted"), [("000001fffeffffff", "true"), ("000001ffffffffff", "false")])
def test_containerd_leaves_oom_scores_alone_where_it_may_not_lower_them(capabilities: str, restricted: str) -> None:
    told = containerd.configuration(
        runc=Path("/runc"),
        cni_plugins=Path("/cni"),
        cni_networks=Path("/networks"),
        pause_image="pause",
        may_raise=containerd.may_raise_limits(f"Name:\tx\nCapEff:\t{capabilities}\n"),
    )

    assert f"restrict_oom_score_adj = {restricted}" in told


def test_pods_have_links_of_their_own_and_are_not_masqueraded() -> None:
    network = json.loads(containerd.network_list(PLAN.pod_cidr))

    assert [plugin["type"] for plugin in network["plugins"]] == ["ptp", "portmap"]
    assert network["plugins"][0]["ipMasq"] is False


def test_kube_proxy_knows_the_pods_range_and_leaves_the_machines_settings_alone() -> None:
    told = yaml.safe_load(kubelet.kube_proxy_configuration(PLAN, Path("/kubeconfig")))

    assert told["clusterCIDR"] == PLAN.pod_cidr
    assert told["mode"] == "nftables"
    assert told["conntrack"]["maxPerCore"] == 0


def test_the_kubelet_keeps_to_its_own_cgroup_and_lets_nobody_in_unknown() -> None:
    told = yaml.safe_load(kubelet.kubelet_configuration(PLAN, pki=Path("/pki"), resolver=Path("/resolv.conf")))

    assert told["cgroupRoot"] == "/sandkeeper-01234567"
    assert told["authentication"]["anonymous"]["enabled"] is False


def test_a_pod_can_not_take_all_processes_of_the_node() -> None:
    told = yaml.safe_load(kubelet.kubelet_configuration(PLAN, pki=Path("/pki"), resolver=Path("/resolv.conf")))

    assert told["podPidsLimit"] == 1024
