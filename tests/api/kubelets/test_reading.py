"""What a kubelet's page says is read over TLS; whoever is no kubelet, or misbehaves, is told apart in one sentence."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.kubelets.fake_kubelet import PAGE, FakeKubelet, endless, silence, text
from localcluster.pki import Authority
from sandkeeper.runtime import kubelet as reading
from sandkeeper.runtime.account_token import AccountToken
from sandkeeper.runtime.kubelet import KubeletError, Kubelets

METRIC = "pod_cpu_usage_seconds_total"


class Tokens(AccountToken):
    """Gives the next token once one was refused."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    async def get(self) -> str:
        return self.tokens[0]

    def refuse(self, token: str) -> None:
        if len(self.tokens) > 1:
            self.tokens.remove(token)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture
async def kubelet(authority: Authority, tmp_path: Path) -> AsyncIterator[FakeKubelet]:
    async with FakeKubelet(authority, tmp_path) as kubelet:
        yield kubelet


@pytest.fixture
def ca(authority: Authority, tmp_path: Path) -> Path:
    file = tmp_path / "ca.crt"
    file.write_bytes(authority.pair.certificate)
    return file


async def read(kubelet: FakeKubelet, ca: Path, *tokens: str, verified: bool = True) -> dict[Any, Any]:
    """Read the page once, and give time and value by namespace and pod."""
    kubelets = Kubelets(Tokens(*tokens or ("good",)), reading.Authority(str(ca), verified=verified), "test")
    try:
        found = await kubelets.samples("127.0.0.1", kubelet.port, "/metrics/resource", (METRIC,), 'pod="sbx-')
    finally:
        await kubelets.close()
    return {(each.labels["namespace"], each.labels["pod"]): (float(each.timestamp or 0), each.value) for each in found}


async def refusal(kubelet: FakeKubelet, ca: Path, *tokens: str) -> tuple[str, str]:
    """Kind and sentence of why nothing was read."""
    with pytest.raises(KubeletError) as caught:
        await read(kubelet, ca, *tokens)
    return caught.value.kind, str(caught.value)


async def test_sandboxes_are_read_with_the_kubelets_own_time(kubelet: FakeKubelet, ca: Path) -> None:
    assert await read(kubelet, ca) == {
        ("team", "sbx-a"): (1795530868.905, 12.75),
        ("ream", "sbx-a"): (1795530868.906, 1.5e-05),
    }


async def test_a_node_without_sandboxes_says_nothing(kubelet: FakeKubelet, ca: Path) -> None:
    kubelet.answer = text("resource_scrape_error 1\n")

    assert await read(kubelet, ca) == {}


async def test_who_shows_a_certificate_of_another_authority_gets_no_token(kubelet: FakeKubelet, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(Authority.new("another").pair.certificate)

    kind, told = await refusal(kubelet, other)

    assert (kind, kubelet.seen) == ("certificate", [])
    assert told.startswith("has a certificate that can't be verified: ")


async def test_a_certificate_for_another_address_is_not_enough(authority: Authority, ca: Path, tmp_path: Path) -> None:
    async with FakeKubelet(authority, tmp_path, "192.0.2.7", "node-a") as elsewhere:
        kind, told = await refusal(elsewhere, ca)

    assert (kind, elsewhere.seen) == ("certificate", [])
    assert "IP address mismatch" in told


async def test_any_certificate_will_do_where_the_admin_says_so(kubelet: FakeKubelet, tmp_path: Path) -> None:
    assert await read(kubelet, tmp_path / "none", verified=False)


async def test_without_authorities_nobody_is_asked(kubelet: FakeKubelet, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()

    assert await refusal(kubelet, tmp_path / "none") == (
        "authority",
        f"can't be verified: No such file or directory: {tmp_path}/none",
    )
    assert await refusal(kubelet, empty) == ("authority", f"can't be verified: no certificates in {empty}")
    assert kubelet.seen == []


async def test_authorities_that_were_exchanged_are_read_anew(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(Authority.new("before").pair.certificate)
    trusted = reading.Authority(str(file))
    before = trusted.context
    assert trusted.context is before

    file.write_bytes(authority.pair.certificate)
    # As by somebody who writes within the resolution of the file system's clock.
    os.utime(file, (1, 1))

    assert trusted.context.get_ca_certs() != before.get_ca_certs()


async def test_a_token_that_is_not_accepted_any_more_is_replaced(kubelet: FakeKubelet, ca: Path) -> None:
    kubelet.tokens = {"new"}

    assert await read(kubelet, ca, "old", "new")
    assert kubelet.seen == ["old", "new"]


async def test_who_accepts_no_token_is_asked_twice_and_no_more(kubelet: FakeKubelet, ca: Path) -> None:
    kubelet.tokens = set()

    assert await refusal(kubelet, ca, "old", "new", "newest") == ("refused", "does not accept our token")
    assert kubelet.seen == ["old", "new"]


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (403, "refused", "does not let us read its metrics"),
        (500, "malformed", "answers with HTTP 500 instead of its metrics"),
        (307, "malformed", "answers with HTTP 307 instead of its metrics"),
    ],
)
async def test_who_answers_with_something_else(
    kubelet: FakeKubelet, ca: Path, status: int, kind: str, told: str
) -> None:
    kubelet.answer = text(PAGE, status)

    assert await refusal(kubelet, ca) == (kind, told)


@pytest.mark.parametrize("chunk", [b"x" * 65536, b'container_memory{pod="sbx-a"} 1 1\n' * 1000], ids=["line", "page"])
async def test_an_answer_without_end_is_cut_off(kubelet: FakeKubelet, ca: Path, chunk: bytes) -> None:
    kubelet.answer = endless(chunk)

    assert await refusal(kubelet, ca) == ("malformed", "gives more than all its pods can account for")


async def test_an_answer_that_does_not_come_is_not_waited_for(
    kubelet: FakeKubelet, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubelet.answer = silence
    monkeypatch.setattr(reading, "_TIMEOUT", aiohttp.ClientTimeout(total=0.3))

    assert await refusal(kubelet, ca) == ("unreachable", "can't be reached: no answer in time")


async def test_nobody_listens(kubelet: FakeKubelet, ca: Path) -> None:
    await kubelet._runner.cleanup()

    kind, told = await refusal(kubelet, ca)

    assert kind == "unreachable"
    assert told.startswith("can't be reached: ")


@pytest.mark.parametrize("many", [2000, 2001])
async def test_there_is_an_end_to_how_many_sandboxes_a_node_has(kubelet: FakeKubelet, ca: Path, many: int) -> None:
    kubelet.answer = text("".join(f'{METRIC}{{namespace="team",pod="sbx-{n}"}} 1 1\n' for n in range(many)))

    if many == 2000:
        assert len(await read(kubelet, ca)) == many
    else:
        assert await refusal(kubelet, ca) == ("malformed", "gives more than all its pods can account for")


JUNK = st.text(st.sampled_from('a1"\\{}=,# .e-+\x00é'), max_size=40)
ENDS = st.sampled_from(["", "} 1 1", '"} 1 1', '="x"} nan inf', "} 1 1 # {} 1", '",pod="sbx-b"} 1 1e999'])


@given(JUNK, ENDS)
@example(", ", '="x"} nan inf')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_whatever_a_page_says_is_read_or_refused(kubelet: FakeKubelet, ca: Path, junk: str, end: str) -> None:
    kubelet.answer = text(f'{METRIC}{{namespace="team",pod="sbx-a",{junk}{end}\n')

    try:
        seen = await read(kubelet, ca)
    except KubeletError as error:
        seen = {error.kind: str(error)}

    assert set(seen) <= {"malformed", ("team", "sbx-a"), ("team", "sbx-b")}
