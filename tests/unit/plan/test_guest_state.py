"""What a sandbox tells while its guest installs, and when it gave up."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.plan.observed import GuestSettings, Settings
from sandkeeper.plan.pod_state import written
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.start import SLOW_AFTER
from unit.fakes.objects import CREATED, NOW, Json, plan, pod_of, sandbox, told

INSTALLING = sandbox(packages={"apt": ["git", "curl", "jq", "nope"], "pip": ["httpx"]}, setup="make")
SETTINGS = Settings(guest=GuestSettings(install_timeout=timedelta(minutes=5)))
NOT_FOUND = "E: Unable to locate package nope"
GAVE_UP: Json = {"guest": "SetupFailed", "step": "apt", "exitCode": 100, "lines": NOT_FOUND}


def started(state: Json, *, restarts: int = 0, last: Json | None = None) -> Json:
    """Status of a pod whose startup probe has not passed."""
    status: Json = {"name": "sandbox", "image": "i", "restartCount": restarts, "state": state, "started": False}
    if last is not None:
        status["lastState"] = {"terminated": last}
    return {"phase": "Running", "containerStatuses": [status]}


def ended(message: object, code: int = 100, **more: Any) -> Json:
    text = message if isinstance(message, str) else orjson.dumps(message).decode()
    return {"reason": "Error", "exitCode": code, "message": text, **more}


def after(last: Json, restarts: int = 3) -> Plan:
    """Decide on a sandbox whose container ended so and is to be started anew."""
    status = started({"waiting": {"reason": "CrashLoopBackOff"}}, restarts=restarts, last=last)
    return plan(INSTALLING, pod=pod_of(INSTALLING, status), settings=SETTINGS)


def test_an_installation_is_told_once_it_is_slow_with_how_to_follow_it() -> None:
    pod = pod_of(INSTALLING, started({"running": {"startedAt": "2026-03-01T12:00:00Z"}}))

    quick, slow = (plan(INSTALLING, now, pod=pod) for now in (NOW, CREATED + SLOW_AFTER))

    assert quick.status == {}
    assert told(slow)["Ready"] == ("False", "Installing")
    assert slow.state.message == (
        "Installing git, curl, jq and 1 more by apt, httpx by pip, what setup says; "
        "kubectl logs -n team sbx-a -f shows how it goes."
    )


def test_unpacking_is_told_as_a_start() -> None:
    owner = sandbox(workspace={"type": "Persistent"})
    pod = pod_of(owner, started({"running": {}}))

    seen = plan(owner, pod=pod, status={"observedGeneration": 1})

    assert told(seen)["Ready"] == ("False", "Starting")
    assert seen.state.message.startswith("Unpacking what was changed and installed before;")


@pytest.mark.parametrize(
    ("age", "known", "reason"),
    [
        pytest.param(1, {"startupSeconds": 1.0}, "Starting", id="its pod was lost"),
        pytest.param(1, {"pack": {"entries": 1}}, "Starting", id="its pod was replaced"),
        pytest.param(20, {"startupSeconds": 1.0}, "Installing", id="something else is asked for"),
        pytest.param(1, {}, "Installing", id="it never ran"),
    ],
)
def test_a_pod_that_unpacks_what_another_installed_is_no_installation(age: int, known: Json, reason: str) -> None:
    since = {"startTime": written(NOW - timedelta(seconds=age))}
    pod = pod_of(INSTALLING, started({"running": {}}) | since)

    seen = plan(INSTALLING, pod=pod, status={"observedGeneration": 1, **known})

    assert told(seen)["Ready"] == ("False", reason)
    assert seen.state.message.startswith("Unpacking" if reason == "Starting" else "Installing git")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {},
            "apt ended with exit code 100: E: Unable to locate package nope (restarted 3 times so far, with a",
        ),
        ({"step": "setup", "lines": "one\n  two\n"}, "setup ended with exit code 100: one | two (restarted 3 times"),
        (
            {"lines": f"{NOT_FOUND}\nIgn:1 http://mirror bookworm\nGet:2 http://mirror sid\n{NOT_FOUND}\nE: Broken"},
            f"apt ended with exit code 100: {NOT_FOUND} | E: Broken (restarted",
        ),
        ({"step": "setup", "lines": "Ign:1 http://mirror bookworm\n"}, "setup ended with exit code 100: Ign:1 http"),
        ({"step": "setup", "lines": ""}, "setup ended with exit code 100 (restarted 3 times"),
        ({"step": "unpack"}, "What was changed and installed before could not be unpacked: E: Unable"),
        ({"step": "pack"}, "What was installed could not be packed: E: Unable"),
        ({"step": "guest"}, "The guest could not bring the sandbox up: E: Unable"),
    ],
)
def test_a_guest_that_gave_up_is_told_in_its_installers_words(said: Json, message: str) -> None:
    seen = after(ended(GAVE_UP | said))

    assert told(seen)["Ready"] == ("False", "SetupFailed")
    assert seen.state.message.startswith(message)


def test_the_ten_biggest_paths_of_what_is_too_large_to_be_packed_are_told() -> None:
    biggest = ", ".join(
        f"/usr/lib/python3/dist-packages/some_large_library/model-{each}.bin (1.0 GiB)" for each in range(10)
    )

    seen = after(ended(GAVE_UP | {"step": "pack", "lines": f"10.0 GiB changed. The biggest: {biggest}"}))

    assert f"could not be packed: 10.0 GiB changed. The biggest: {biggest} (" in seen.state.message


def test_a_command_that_can_not_be_started_is_told_as_that() -> None:
    seen = after(ended(GAVE_UP | {"step": "command", "lines": "exec: /no/such: not found"}))

    assert told(seen)["Ready"] == ("False", "Failed")
    assert seen.state.message.startswith("The command can't be started: exec: /no/such: not found (")


BACK_OFF = 'Back-off pulling image "sandkeeper/guest": ErrImagePull: '
PULL = 'failed to pull and unpack image "sandkeeper/guest": not found'


@pytest.mark.parametrize("message", [PULL, BACK_OFF + PULL])
def test_a_guest_that_can_not_be_pulled_is_told_by_its_own_name(message: str) -> None:
    mounted = started({"waiting": {"reason": "ImagePullBackOff", "message": message}})

    seen = plan(INSTALLING, pod=pod_of(INSTALLING, mounted))

    assert told(seen)["Ready"] == ("False", "ImagePullFailed")
    assert seen.state.message == "Image sandkeeper/guest of the guest can't be pulled: not found."


def copying(state: Json, restarts: int = 0) -> Json:
    guest = {"name": "guest", "image": "sandkeeper/guest", "restartCount": restarts, "state": state}
    own = {"name": "sandbox", "image": "i", "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}
    return {"phase": "Pending", "initContainerStatuses": [guest], "containerStatuses": [own]}


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        (
            {"waiting": {"reason": "ErrImagePull", "message": PULL}},
            "ImagePullFailed",
            "sandkeeper/guest can't be pulled",
        ),
        ({"terminated": {"exitCode": 1}}, "Failed", "Copying the guest failed; it is about to be restarted."),
        ({"terminated": {"exitCode": 0}}, "Starting", "Starting on node n1"),
        ({"running": {}}, "Starting", "Starting on node n1"),
    ],
)
def test_what_becomes_of_the_copy_of_a_guest_is_told(state: Json, reason: str, says: str) -> None:
    seen = plan(INSTALLING, pod=pod_of(INSTALLING, copying(state)))

    assert seen.state.reason == reason
    assert says in seen.state.message


def test_it_stays_told_while_the_guest_tries_again() -> None:
    status = started({"running": {}}, restarts=1, last=ended(GAVE_UP))

    assert plan(INSTALLING, pod=pod_of(INSTALLING, status)).state.reason == "SetupFailed"


LATE = {"startedAt": "2026-03-01T12:00:00Z", "finishedAt": "2026-03-01T12:05:02Z"}


@pytest.mark.parametrize(("message", "rest"), [("", " ("), (GAVE_UP | {"lines": "Reading"}, ": Reading (")])
@pytest.mark.parametrize("code", [137, 143])
def test_what_takes_too_long_is_told_as_that(message: object, rest: str, code: int) -> None:
    seen = after(ended(message, code, **LATE))

    assert seen.state.reason == "SetupFailed"
    assert seen.state.message.startswith(
        f"It took longer than 5 minutes (guest.installTimeoutSeconds of the chart){rest}"
    )


@pytest.mark.parametrize(
    "last",
    [
        ended("", 137, startedAt="2026-03-01T12:00:00Z", finishedAt="2026-03-01T12:04:58Z"),
        ended("", 137, startedAt="2026-03-01T12:00:00Z", finishedAt="2026-03-01T14:00:00Z"),
        ended("", 1, **LATE),
        ended("", 137),
    ],
    ids=["sooner", "much later", "by itself", "unknown"],
)
def test_another_end_is_a_crash(last: Json) -> None:
    assert after(last).state.reason == "CrashLooping"


def test_running_out_of_memory_is_told_as_that() -> None:
    assert after(ended(GAVE_UP, 137) | {"reason": "OOMKilled"}).state.reason == "OOMKilled"


HOSTILE = st.one_of(
    st.text(max_size=4096),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: orjson.dumps(value, default=str).decode(errors="replace") if _dumps(value) else "{"),
    st.fixed_dictionaries(
        {
            "guest": st.sampled_from(["SetupFailed", "Ready", 7]),
            "step": st.sampled_from(["apt", "setup", "rm"]) | st.text(max_size=20),
            "exitCode": st.integers(-(2**31), 2**31) | st.text(max_size=3),
            "lines": st.text(max_size=3000),
        }
    ).map(lambda value: orjson.dumps(value).decode() if _dumps(value) else "{"),
)


def _dumps(value: object) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True


@given(HOSTILE)
def test_whatever_stands_in_the_message_changes_a_sentence_and_nothing_else(message: str) -> None:
    seen = after(ended(message))

    assert seen.state.reason in {"SetupFailed", "CrashLooping", "Failed"}
    assert {kind: truth for kind, (truth, _) in told(seen).items()} == {
        "Ready": "False",
        "Running": "False",
        "Reconciling": "True",
    }
    assert seen.state.message.isprintable()
    assert len(seen.state.message) < 600


def test_a_message_can_not_turn_the_line_or_speak_to_a_terminal() -> None:
    forged = GAVE_UP | {"lines": "\x1b[2K\rall is well\u202e\u2028Ready=True\x07"}

    assert after(ended(forged)).state.message.startswith(
        "apt ended with exit code 100: [2K | all is well | Ready=True ("
    )
