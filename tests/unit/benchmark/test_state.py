"""What workspaces, sleep and packs cost is put together of rounds that ran side by side."""

from collections import Counter

from benchmark import state_report
from benchmark.idling import Idling
from benchmark.life import STEPS, Life, unguided
from benchmark.packs import Packs
from benchmark.real import writes_in

PAGE = """\
# TYPE sandkeeper_api_request_seconds histogram
sandkeeper_api_request_seconds_bucket{verb="create",resource="pods",code="201",le="0.5"} 4
sandkeeper_api_request_seconds_count{verb="create",resource="pods",code="201"} 4
sandkeeper_api_request_seconds_count{verb="create",resource="pods",code="403"} 1
sandkeeper_api_request_seconds_count{verb="list",resource="pods",code="200"} 9
sandkeeper_api_request_seconds_count{verb="patch",resource="leases",code="200"} 7
"""


def lived() -> Life:
    life = Life()
    for step in STEPS:
        life.raw[step] += [1.0, 2.0, 9.0]
        life.sandbox[step] += [2.0, 2.5, 3.0]
    life.writes["start"] = Counter({"create pods": 3, "patch leases": 40})
    return life


def test_writes_are_counted_whatever_became_of_them_and_reading_is_none() -> None:
    assert writes_in(PAGE) == {"create pods": 5, "patch leases": 7}


def test_a_step_is_told_by_its_medians() -> None:
    lines = state_report.life_table(lived()).splitlines()

    assert lines[2] == "| start with a new claim | 3 | 2.00 | 9.00 | 2.50 | 3.00 | 1.25 |"
    assert "| create pods | 1.00 | – | – |" in lines
    assert not [line for line in lines if "leases" in line]


def test_packs_are_told_beside_those_by_hand() -> None:
    packs = Packs([3.0], {1: [4.0], 3: [2.0]}, [1.0], [2.0], {"guest": 2_000_000, "zstd -1": 1, "zstd -3": 1})
    lines = state_report.packs_table(packs).splitlines()

    assert "| pack: guest | 3.00 | 1.50 | 2 |" in lines
    assert "| unpack: guest | 1.00 | 0.50 |  |" in lines


def test_idleness_is_told_as_part_of_a_core() -> None:
    idling = Idling(
        1000, 100, [{"operator": 0.6, "apiserver": 3.0}, {"operator": 1.8, "apiserver": 3.0}], 90_000_000, 220
    )
    text = state_report.idle_table(idling)

    assert "| operator CPU, of a core | 2.00% |" in text
    assert "| in each minute | 1.00%, 3.00% |" in text
    assert "| kubelet pages a minute | 110 |" in text


def test_the_raw_pod_is_the_sandboxs_without_the_guest() -> None:
    container = {
        "name": "sandbox",
        "image": "debian:12",
        "command": ["/.sandkeeper/bin/guest", "run"],
        "startupProbe": {},
        "lifecycle": {"postStart": {}},
        "volumeMounts": [
            {"name": "workspace", "mountPath": "/workspace", "subPath": "workspace"},
            {"name": "guest", "mountPath": "/.sandkeeper/bin"},
            {"name": "workspace", "mountPath": "/.sandkeeper/system", "subPath": "system"},
        ],
    }
    volumes = [{"name": "workspace"}, {"name": "guest", "image": {}}]
    raw = unguided({"metadata": {}, "spec": {"containers": [container], "volumes": volumes}})

    assert raw["spec"]["volumes"] == [{"name": "workspace"}]
    assert [mount["mountPath"] for mount in raw["spec"]["containers"][0]["volumeMounts"]] == ["/workspace"]
    assert not {"startupProbe", "lifecycle"} & set(raw["spec"]["containers"][0])
