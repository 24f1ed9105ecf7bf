"""What sandboxes do all day, as commands: while nobody uses them, and while somebody does."""

PYTHON = "docker.io/library/python:3.13"

_SERVER = """
import socket
listener = socket.create_server(("", 2222))
while True:
    listener.accept()[0].close()
"""
_TIMERS = """
import asyncio
async def beat():
    while True:
        await asyncio.sleep(0.1)
async def main():
    await asyncio.gather(*(beat() for _ in range(10)))
asyncio.run(main())
"""
# As development servers do where the kernel tells them of no change: once a second a look at every file.
_WATCHER = """
import os, pathlib, time
files = [pathlib.Path("/workspace/app") / f"module{n}.py" for n in range(2000)]
files[0].parent.mkdir(exist_ok=True)
for file in files:
    file.touch()
while True:
    times = {file: os.stat(file).st_mtime for file in files}
    time.sleep(1)
"""
_HEARTBEAT = """
import http.client, threading, http.server, time
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
threading.Thread(target=http.server.HTTPServer(("", 8000), Quiet).serve_forever, daemon=True).start()
while True:
    connection = http.client.HTTPConnection("127.0.0.1", 8000)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()
    time.sleep(2)
"""
_ERRANDS = """
git init -q repository && cd repository
cp -r /usr/lib/python3/dist-packages/pip/_internal . && git add .
while :; do git status --short | head -5; grep -rn "def main" . | wc -l; ls -la; sleep 10; done
"""
# What comes from a model, and is parsed, shown and written down piece by piece.
_ANSWERS = """
import json, time
with open("answer", "w") as answer:
    while True:
        piece = json.loads(json.dumps({"choices": [{"delta": {"content": "word "}}]}))
        print(piece["choices"][0]["delta"]["content"], end="", flush=True)
        answer.write(piece["choices"][0]["delta"]["content"])
        answer.flush()
        time.sleep(1 / 50)
"""
_SUITE = """
cat > test_all.py <<END
import time, unittest
class Everything(unittest.TestCase): pass
def case(n):
    def run(self):
        time.sleep(0.2)
        self.assertEqual(sum(i * i for i in range(200000 + n)) % 1, 0)
    return run
for n in range(200): setattr(Everything, f"test_{n}", case(n))
END
while :; do python3 -m unittest -q test_all 2>/dev/null; sleep 1; done
"""
_INSTALL = """
mkdir -p src
printf 'print(1)' > src/greeter.py
cat > src/pyproject.toml <<END
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "greeter"
version = "1"
[tool.setuptools]
py-modules = ["greeter"]
END
while :; do
  pip install --quiet --no-index --no-build-isolation --break-system-packages --force-reinstall ./src 2>/dev/null
  sleep 10
done
"""
_COMPILE = "while :; do python3 -m compileall -qf /usr/lib/python3; sleep 5; done"
_BURSTS = """
import time
while True:
    until = time.process_time() + {seconds}
    while time.process_time() < until:
        pass
    time.sleep({pause})
"""
_CLONE = """
git init -q origin && cd origin && git config user.email a@b && git config user.name a
for n in $(seq 300); do head -c 20000 /dev/urandom | base64 > file$n; done
git add . && git commit -qm all && cd ..
while :; do rm -rf copy && git clone -q --no-local file:///workspace/origin copy; sleep 20; done
"""
# From itself: a sandbox reaches nothing else. The server's part is small.
_DOWNLOAD = """
head -c 500000000 /dev/zero > large
python3 -m http.server 8000 >/dev/null 2>&1 &
sleep 1
while :; do curl -s --limit-rate 1M -o /dev/null http://127.0.0.1:8000/large; done
"""


def python(code: str) -> list[str]:
    """Command that runs some Python."""
    return ["python3", "-c", code]


def shell(script: str) -> list[str]:
    """Command that runs a script."""
    return ["bash", "-c", script]


IDLE = {
    "shell that waits": shell("tail -f /dev/null | bash"),
    "server that waits": python(_SERVER),
    "watch -n 2 date": shell("export TERM=xterm; script -qc 'watch -n 2 date' /dev/null >/dev/null"),
    "tail -f": shell("touch log; exec tail -f log"),
    "loop with sleep 5": shell("while sleep 5; do :; done"),
    "loop with sleep 1": shell("while sleep 1; do :; done"),
    "top": shell("export TERM=xterm; script -qc 'top -d 3' /dev/null >/dev/null"),
    "ten timers at 10 Hz": python(_TIMERS),
    "2,000 files looked at every second": python(_WATCHER),
    "heartbeat over HTTP every 2 s": python(_HEARTBEAT),
    "watch -n 2 ps aux": shell("export TERM=xterm; script -qc 'watch -n 2 ps aux' /dev/null >/dev/null"),
}
WORK = {
    "test suite": shell(_SUITE),
    "pip install, every 10 s": shell(_INSTALL),
    "compiler, every 5 s": shell(_COMPILE),
    "agent, 2 s of work every 30 s": python(_BURSTS.format(seconds=2, pause=28)),
    "agent, 1 s of work every 30 s": python(_BURSTS.format(seconds=1, pause=29)),
    "agent, 1 s of work every 60 s": python(_BURSTS.format(seconds=1, pause=59)),
    "git clone of 8 MB, every 20 s": shell(_CLONE),
}
# Work that takes no more CPU time than waiting does: whoever does it has to say that the sandbox is used.
LIGHT = {
    "agent, three commands every 10 s": shell(_ERRANDS),
    "agent, an answer of 50 tokens a second": python(_ANSWERS),
    "download at 1 MB/s": shell(_DOWNLOAD),
}
