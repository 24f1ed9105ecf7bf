"""DNS: nothing but allowed names has an answer, and no question leaves the gateway."""

import base64
import os

from e2e.escape.inside.kit import Group, Scene, Way

from .talk import REFUSED_NAME, question, resolve

GROUP = Group()


def ask(name: str, kind: str = "A", *, tcp: bool = False) -> Way:
    """Return a way that asks for a name."""
    return lambda _scene: resolve(question(name, kind), tcp=tcp)


FORBIDDEN = {
    "a forbidden name": "forbidden.example",
    "a name that ends in an allowed one's letters": "evilallowed.example",
    "a name below an allowed one": "data.allowed.example",
    "an allowed name with a suffix": "allowed.example.evil.example",
    "the suffix of a wildcard": "wild.example",
    "a name that ends in a wildcard's letters": "evilwild.example",
    "a homograph of an allowed name": "xn--llowed-2ve.example",
    "a name of the cluster": "kubernetes.default.svc.cluster.local",
    "a neighbour's allowed name": "neighbour-only.example",
    "localhost": "localhost",
    "the metadata service's name": "metadata.google.internal",
    "the root": "",
}
for words, name in FORBIDDEN.items():
    for by_tcp in (False, True):
        GROUP.add(f"{words} by {'TCP' if by_tcp else 'UDP'}", *REFUSED_NAME, control="",
                  way=ask(name, tcp=by_tcp))  # fmt: skip
for kind in ("TXT", "CNAME", "NULL", "MX", "SRV", "NS", "HTTPS", "AAAA", "AXFR"):
    GROUP.add(f"type {kind} of an allowed name", *REFUSED_NAME, "closed", "no answer", control="",
              way=ask("allowed.example", kind, tcp=kind == "AXFR"))  # fmt: skip
    GROUP.add(f"type {kind} of a forbidden name", *REFUSED_NAME, "closed", "no answer", control="",
              way=ask("forbidden.example", kind, tcp=kind == "AXFR"))  # fmt: skip
GROUP.add("type ANY of a forbidden name", *REFUSED_NAME, control="",
          way=ask("forbidden.example", "ANY"))  # fmt: skip
GROUP.add("a reverse name", *REFUSED_NAME, control="",
          way=ask("10.0.128.44.in-addr.arpa", "PTR"))  # fmt: skip
GROUP.add("dots within one label", *REFUSED_NAME, control="",
          way=lambda scene: resolve(question([b"allowed.example"])))  # fmt: skip
GROUP.add("a zero byte behind an allowed name", *REFUSED_NAME, control="",
          way=lambda scene: resolve(question([b"allowed", b"example\0", b"evil", b"example"])))  # fmt: skip
GROUP.add("two questions, the second forbidden", *REFUSED_NAME, control="", way=lambda scene: resolve(
    question("allowed.example", count=1)[:4] + b"\0\2" + question("allowed.example")[6:]
    + question("forbidden.example")[12:]))  # fmt: skip
GROUP.add("the class CHAOS", *REFUSED_NAME, "no answer", control="",
          way=lambda scene: resolve(question("allowed.example", kind_class=3)))  # fmt: skip


@GROUP.attempt("a tunnel: data in labels below an allowed name", *REFUSED_NAME, control="")
def tunnel(scene: Scene) -> str:
    label = base64.b32encode(os.urandom(30)).decode().strip("=").lower()
    return resolve(question(f"{label}.{label}.allowed.example", "TXT"))


@GROUP.attempt("a tunnel: data in the case of an allowed name's letters, where that leaves", "NODATA", control="")
def case(scene: Scene) -> str:
    return resolve(question("aLlOwEd.ExAmPlE", "TXT"))
