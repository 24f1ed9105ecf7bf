"""Makes a few tiny packages and serves them to apt, pip and npm; runs in a pod, with a Debian's own programs.

Requests are answered by their path, whatever host they name, so that it serves as a proxy too.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pip

ROOT = Path("/srv")
Files = dict[str, tuple[int, str]]
"""Modes and contents by path."""

SLOW = """#!/bin/sh
set -e
# For as long as the test holds it.
while [ -e /var/tmp/hold-STEP ]; do echo held > /var/tmp/held; sleep 0.1; done
"""
GREETER = """#!/bin/sh
. /etc/greeter.conf
echo "$greeting from greeter VERSION"
"""
PIP = """#!/usr/bin/python3
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


def debian(name: str, version: str, files: Files, *, depends: str = "", conffile: str = "") -> None:
    """Make a Debian package."""
    tree = ROOT / "trees" / f"{name}-{version}"
    control = [f"Package: {name}", f"Version: {version}", "Architecture: all", "Maintainer: Test <test@example.com>"]
    control += [f"Depends: {depends}"] * bool(depends) + ["Description: for tests\n"]
    files = files | {"DEBIAN/control": (0o644, "\n".join(control))}
    files |= {"DEBIAN/conffiles": (0o644, f"{conffile}\n")} if conffile else {}
    for path, (mode, content) in files.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
    build(tree, f"{name}_{version}_all.deb")


def build(tree: Path, archive: str) -> None:
    """Build a Debian package of a tree."""
    options = ("--root-owner-group", "-Zgzip", "-z1", "--build")
    subprocess.run(["dpkg-deb", *options, tree, ROOT / "apt" / archive], check=True, stdout=subprocess.DEVNULL)


def debian_pip() -> None:
    """Make a Debian package of this Python's own pip, without what it usually depends on."""
    tree = ROOT / "trees" / "python3-pip-99"
    place = tree / "usr/lib/python3/dist-packages"
    place.mkdir(parents=True)
    subprocess.run(["cp", "-r", Path(pip.__file__).parent, place], check=True)
    debian("python3-pip", "99", {"usr/bin/pip3": (0o755, PIP)})


def debian_index() -> None:
    """Write the index that apt reads: a flat repository."""
    paragraphs = []
    for archive in sorted((ROOT / "apt").glob("*.deb")):
        content = archive.read_bytes()
        control = subprocess.run(["dpkg-deb", "--field", archive], check=True, capture_output=True, text=True).stdout
        digest = hashlib.sha256(content).hexdigest()
        paragraphs.append(f"{control}Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {digest}\n")
    index = "\n".join(paragraphs).encode()
    (ROOT / "apt/Packages").write_bytes(index)
    digest = hashlib.sha256(index).hexdigest()
    (ROOT / "apt/Release").write_text(f"Suite: test\nSHA256:\n {digest} {len(index)} Packages\n")


def wheel(name: str, version: str, requires: str = "") -> None:
    """Make a Python package with a module and a command of its name."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": f"def main():\n    print('{name} {version}')\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{path},sha256={digest(content)},{len(content)}\n" for path, content in files.items())
    # A folder's listing is what pip takes for a simple index (PEP 503).
    target = ROOT / "simple" / name / f"{name}-{version}-py3-none-any.whl"
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}).items():
            archive.writestr(path, content)


def digest(content: str) -> str:
    """Write a digest as wheels do."""
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()


def node(name: str, *versions: str) -> dict[str, object]:
    """Make a Node.js package in some versions and return what the registry tells about it."""
    command = name.rpartition("/")[2]
    told = {}
    for version in versions:
        manifest = {"name": name, "version": version, "bin": {command: "cli.js"}}
        files = {
            "package/package.json": json.dumps(manifest),
            "package/cli.js": f"#!/usr/bin/env node\nconsole.log('{command} {version}')\n",
        }
        content = tar(files)
        file = ROOT / "tarballs" / f"{command}-{version}.tgz"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        told[version] = manifest | {"dist": {"tarball": f"http://HOST/tarballs/{file.name}", "integrity": integrity}}
    return {"name": name, "dist-tags": {"latest": versions[-1]}, "versions": told}


def tar(files: dict[str, str]) -> bytes:
    """Make a compressed archive."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content.encode()))
    return target.getvalue()


def packages() -> dict[str, object]:
    """Make every package; return those of npm by name."""
    (ROOT / "apt").mkdir(parents=True)
    for version in ("1.0", "2.0"):
        files = {
            "usr/bin/greeter": (0o755, GREETER.replace("VERSION", version)),
            "etc/greeter.conf": (0o644, f"greeting=hello{version[0]}\n"),
        }
        debian("greeter", version, files, depends="greeter-data", conffile="/etc/greeter.conf")
    debian("greeter-data", "1.0", {"usr/share/greeter/data": (0o644, "data\n")})
    slow = {f"DEBIAN/{step}": (0o755, SLOW.replace("STEP", step)) for step in ("preinst", "postinst")}
    debian("greeter-slow", "1.0", {"usr/share/greeter/slow": (0o644, "slow\n")} | slow)
    debian("greeter-broken", "1.0", {"DEBIAN/postinst": (0o755, "#!/bin/sh\necho no use >&2\nexit 3\n")})
    debian_pip()
    # The image has npm's files; what is missing is the command.
    link = '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n'
    debian("npm", "99", {"usr/bin/npm": (0o755, link)})
    debian_index()
    wheel("greeting_data", "1.0")
    for version in ("1.0", "2.0"):
        wheel("greeting", version, requires="greeting_data")
    # pip asks for names as PEP 503 writes them.
    (ROOT / "simple/greeting_data").rename(ROOT / "simple/greeting-data")
    return {name: node(name, "1.0.0", "2.0.0") for name in ("greeter-cli", "@team/tool")}


class Handler(SimpleHTTPRequestHandler):
    """Answers by path."""

    registry: dict[str, object]

    def do_GET(self) -> None:
        """Answer npm from what is told about a package, everybody else from files."""
        self.path = urlsplit(self.path).path
        told = self.registry.get(unquote(self.path.removeprefix("/npm/")))
        if told is None:
            super().do_GET()
            return
        content = json.dumps(told).replace("HOST", self.headers["Host"]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    Handler.registry = packages()
    server = ThreadingHTTPServer(("", int(sys.argv[1])), lambda *given: Handler(*given, directory=str(ROOT)))
    print("serving", flush=True)
    server.serve_forever()
