"""The pages of the reference are what the models say, and they leave nothing out that a user may meet."""

import ast
from pathlib import Path

import pytest

from reference.kinds import KindPage, kind_pages
from reference.markdown import cell, plain
from reference.objects import walk
from sandkeeper.api import crd, names
from sandkeeper.api.marks import MARKS
from unit.gitops.reasons import PACKAGE, explained, in_code
from unit.gitops.test_reasons import OF_SANDBOXES

ROOT = Path(__file__).parents[3]
PAGES = {each.kind.kind: each for each in kind_pages(ROOT)}
INTERNAL = {
    "ATTEMPT_ANNOTATION",
    "CANARY_LABEL",
    "CHOSEN_ANNOTATION",
    "CLAIM_ANNOTATION",
    "ENVIRONMENT_ANNOTATION",
    "GATEWAY_SLOT_LABEL",
    "GUEST_ANNOTATION",
    "NUDGED_ANNOTATION",
    "SECRETS_ANNOTATION",
    "SELECTED_NODE_ANNOTATION",
}
"""What the operator writes for itself alone."""
NEVER_WRITTEN = {"Expired", "Released"}
"""Reasons of copies that are decided on while the object goes."""


def text(page: KindPage) -> str:
    return (ROOT / "docs" / "reference" / page.file).read_text()


def test_every_kind_has_its_page() -> None:
    assert set(PAGES) == {each.kind for each in crd.KINDS}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_object_has_a_table_on_its_page_or_on_another(page: KindPage) -> None:
    tables = {
        tuple(row.name for row in section.rows) for each in PAGES.values() for section in (*each.spec, *each.status)
    }
    schema = crd.object_schema(page.kind)["properties"]
    nodes = [found for top in ("spec", "status") if top in schema for found in walk(schema[top], top)]

    assert [path for path, node in nodes if "properties" in node and tuple(node["properties"]) not in tables] == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_sentence_of_a_refusal_stands_where_its_field_does(page: KindPage) -> None:
    beside_fields = "".join(text(each).partition("## Rules in CEL")[0] for each in PAGES.values())

    assert [rule.message for rule in page.rules if cell(plain(rule.message)) not in beside_fields] == []


def test_every_reason_of_the_code_is_explained() -> None:
    assert set(in_code("PodState", *OF_SANDBOXES)) - explained(crd.SANDBOX) == set()
    assert (
        set(in_code("SnapshotState", "plan/*.py", "controllers/snapshot.py")) - explained(crd.SNAPSHOT) == NEVER_WRITTEN
    )
    assert set(in_code("PodState", "plan/diff*.py", "controllers/diff.py")) - explained(crd.DIFF) == {"Expired"}


def literals() -> set[str]:
    """Every string that the operator's code has outside of the catalogue of reasons."""
    modules = [each for each in PACKAGE.rglob("*.py") if each.parent.name != "reasons"]
    nodes = (node for module in modules for node in ast.walk(ast.parse(module.read_text())))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_no_reason_is_explained_that_the_code_does_not_have() -> None:
    words = {each.word for kind in crd.KINDS for aspect in kind.conditions for each in aspect.reasons}
    words |= {each.word for kind in crd.KINDS for each in kind.events}

    assert words - literals() == set()


def test_every_event_is_explained() -> None:
    calls = [
        node
        for module in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call)
    ]
    written = {
        argument.value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "record"
        for argument in call.args[3:4]
        if isinstance(argument, ast.Constant)
    }

    assert written <= {each.word for kind in crd.KINDS for each in kind.events}
    assert {"Expired", "RolledBack", "WorkspaceLost", "ActivityUnreadable"} <= written


def test_every_mark_is_explained_or_known_to_be_the_operators_own() -> None:
    keys = {
        name: value for name, value in vars(names).items() if name.endswith(("_ANNOTATION", "_LABEL", "_FINALIZER"))
    }
    told = {each.key for each in MARKS}

    assert {name for name, value in keys.items() if value not in told} == INTERNAL
    assert told <= set(keys.values())


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_shows_what_is_asked_for_first(page: KindPage) -> None:
    shown = text(page)

    for word in (page.kind.kind, page.kind.plural, *(column.path.replace("|", "\\|") for column in page.kind.columns)):
        assert f"`{word}`" in shown
    for aspect in page.kind.conditions:
        assert f"### {aspect.type}\n" in shown
    assert page.example in shown
