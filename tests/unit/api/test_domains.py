"""Patterns of domain names: what is one, and which one is within another."""

import pytest

from sandkeeper.api.domains import Domain, covers, domain, within
from unit.fakes.domains import ALLOWED, REFUSED


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ("github.com", Domain("github.com")),
        ("*.supabase.co", Domain("supabase.co", below=True)),
        ("github.com:22", Domain("github.com", port=22)),
        ("*.example.com:65535", Domain("example.com", below=True, port=65535)),
        ("registry", Domain("registry")),
        ("xn--bcher-kva.example", Domain("xn--bcher-kva.example")),
    ],
)
def test_a_pattern_is_a_host_or_all_below_a_domain_and_may_have_a_port(pattern: str, read: Domain) -> None:
    assert domain(pattern) == read


@pytest.mark.parametrize(
    "pattern",
    [
        "", "*", "*.", "*com", "a.*.com", "*.*.com", "*.a*", "GitHub.com", "https://github.com", "github.com/x", "a..b",
        ".com", "com.", "-a.com", "a-.com", "a_b.com", "10.0.0.7", "[::1]", "a.com:", "a.com:0", "a.com:65536",
        "a.com:080", "a.com:http", "a.com\n", " a.com", f"{'a' * 64}.com", ".".join(["a" * 49] * 6),
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused_with_what_is_allowed(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"must be a host such as api\.openai\.com, or \*\. and a domain"):
        domain(pattern)


@pytest.mark.parametrize(("allowed", "asked"), ALLOWED)
def test_a_pattern_covers_what_is_as_narrow_or_narrower(allowed: str, asked: str) -> None:
    assert covers(domain(allowed), domain(asked))


@pytest.mark.parametrize(("allowed", "asked"), REFUSED)
def test_a_pattern_covers_nothing_wider_nothing_alike_and_no_further_port(allowed: str, asked: str) -> None:
    assert not covers(domain(allowed), domain(asked))


def test_what_lies_within_any_of_several_is_kept_in_its_order() -> None:
    asked = ("b.example.com", "*.com", "github.com:22", "a.example.com")

    assert within(asked, ("github.com", "*.example.com")) == ("b.example.com", "a.example.com")
    assert within(asked, ()) == ()
