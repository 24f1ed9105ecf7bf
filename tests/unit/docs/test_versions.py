"""The page of supported versions tells those of which the tests know the schemas, and the guides ask for no others."""

import re

import pytest

from reference.versions import FOREIGN
from unit.chart import manifest_schemas
from unit.docs.pages import DOCS

MODULES = [
    manifest_schemas.ARGO_CD,
    manifest_schemas.KUSTOMIZE_CONTROLLER,
    manifest_schemas.SOURCE_CONTROLLER,
    manifest_schemas.PROMETHEUS_OPERATOR,
    manifest_schemas.EXTERNAL_SECRETS,
    manifest_schemas.CILIUM,
]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_known_by_its_schema_has_the_version_of_that(module: str) -> None:
    version = module.rpartition("@v")[2]
    name = re.sub(r"/v\d+$", "", module.rpartition("@")[0]).rpartition("/")[2]
    told = "; ".join(each.what for each in FOREIGN).lower().replace(" ", "-")

    assert f"{name}-{version}" in told


def test_the_page_tells_no_other_version_of_what_others_make() -> None:
    told = re.findall(r"\d+\.\d+\.\d+", " ".join(each.what for each in FOREIGN))

    assert sorted(told) == sorted(module.rpartition("@v")[2] for module in MODULES)


def test_the_guide_to_installing_asks_for_the_kubernetes_that_the_chart_accepts() -> None:
    accepted = re.search(r"`>=(1\.\d+)\.0-0`", (DOCS / "versions.md").read_text())

    assert accepted
    assert f"Kubernetes {accepted[1]} or later" in (DOCS / "install.md").read_text()
    assert f"on Kubernetes {accepted[1]} or later" in (DOCS.parent / "README.md").read_text()
