"""Serves Git over HTTPS by Git's own program; runs in a pod. Below ``/private/`` it asks for a login."""

import base64
import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path("/srv")
LOGIN = Path("/login")
CERTIFICATE = Path("/certificate")


def git(*arguments: str, cwd: Path = ROOT) -> None:
    identity = {f"GIT_{who}_{what}": "seed@git.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=cwd, env={**os.environ, **identity}, check=True)


def publish() -> None:
    """Make the repository app twice, for everybody and for who has the login."""
    seed = ROOT / "seed"
    git("init", "-q", "-b", "main", str(seed))
    for name, content in {"README": "one\n", "run.sh": "#!/bin/sh\necho ran\n"}.items():
        (seed / name).write_text(content)
    (seed / "run.sh").chmod(0o755)
    git("add", ".", cwd=seed)
    git("commit", "-q", "-m", "one", cwd=seed)
    git("tag", "v1", cwd=seed)
    (seed / "README").write_text("two\n")
    git("commit", "-q", "-a", "-m", "two", cwd=seed)
    for place in ("public", "private"):
        git("clone", "-q", "--bare", str(seed), f"{place}/app.git")
        # Who has no login of the server's own may push to neither.
        git("config", "http.receivepack", str(place == "private").lower(), cwd=ROOT / place / "app.git")


class Handler(BaseHTTPRequestHandler):
    """Hands requests on to ``git http-backend``, a CGI program."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _is_let_in(self) -> bool:
        login = ":".join((LOGIN / key).read_text() for key in ("username", "password"))
        given = self.headers.get("Authorization", "")
        return not self.path.startswith("/private/") or given == f"Basic {base64.b64encode(login.encode()).decode()}"

    def _answer(self, body: bytes) -> None:
        if not self._is_let_in():
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"no\n")
            return
        url = urlsplit(self.path)
        variables = {
            "GIT_PROJECT_ROOT": str(ROOT),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, stdout=subprocess.PIPE, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self._send(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    publish()
    server = ThreadingHTTPServer(("", int(sys.argv[1])), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE / "tls.crt", CERTIFICATE / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
