"""Programs built from Go modules, once per content of the module's files and flags.

A finished build is a folder in the cache; a build that was cut short leaves nothing that could be taken for one.
"""

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from localcluster.commands import run
from localcluster.errors import ClusterError
from localcluster.gotoolchain import go, go_environment
from localcluster.locking import made_once
from localcluster.packages import ensure_packages
from localcluster.paths import PACKAGE, cache_home
from localcluster.progress import step

NETWORK_TROUBLE = re.compile(
    r"dial tcp|TLS handshake|i/o timeout|connection reset|unexpected EOF|50[234] ", re.IGNORECASE
)


class RegistryUnreachableError(ClusterError):
    """The module registry did not answer; the next try may succeed."""


@dataclass(frozen=True)
class ModuleFile:
    """A file that comes with a required module.

    Parameters
    ----------
    module
        The module's path.
    path
        Where it is in the module.
    name
        What it is called beside the programs.
    """

    module: str
    path: str
    name: str


@dataclass(frozen=True)
class GoModule:
    """What to build from one of the modules under ``go/``.

    Parameters
    ----------
    name
        The module's folder.
    source
        Path of the required module whose version is the programs' version.
    packages
        Packages to build; each gives a program named by its last element, ``.`` one named as the module.
    aliases
        Other names of the program, for a multicall binary.
    tags
        Build tags.
    stamps
        String variables that are set to the version.
    debian
        Debian packages that the build needs. Where there are any, the programs are built with cgo.
    tests
        Packages whose tests are built, each as a program named by its last element and ``.test``.
    files
        Files that are put beside the programs.
    """

    name: str
    source: str
    packages: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    files: tuple[ModuleFile, ...] = ()

    @property
    def folder(self) -> Path:
        """Return where go.mod is."""
        return PACKAGE / "go" / self.name

    @property
    def programs(self) -> tuple[str, ...]:
        """Return the names of the programs that a build gives."""
        packages = (self.name if package == "." else _last(package) for package in self.packages)
        return self.aliases or (*packages, *(f"{_last(package)}.test" for package in self.tests))

    @property
    def version(self) -> str:
        """Return the version of the source module, as go.mod requires it."""
        return self.version_of(self.source)

    def version_of(self, required: str) -> str:
        """Return the version of a module that go.mod requires.

        Raises
        ------
        ClusterError
            If it requires none of that path.
        """
        match = re.search(rf"^\s*(?:require )?{re.escape(required)} (v\S+)", self._go_mod, re.MULTILINE)
        if match is None:
            raise ClusterError(f"{self.folder / 'go.mod'} does not require {required}")
        return match[1]

    @property
    def _go_mod(self) -> str:
        return (self.folder / "go.mod").read_text()

    @property
    def flags(self) -> list[str]:
        """Return the flags of ``go build``, the same on every machine so that the result is."""
        stamps = [f"-X {variable}={self.version}" for variable in self.stamps]
        return ["-trimpath", f"-tags={','.join(self.tags)}", "-ldflags", " ".join(["-s -w", *stamps])]

    @property
    def digest(self) -> str:
        """Return sixteen hexadecimal digits that change with anything that changes the result."""
        inputs = (self.packages, self.aliases, self.flags, bool(self.debian), *self.tests, *self.files)
        sum_ = hashlib.sha256(repr(inputs).encode())
        for file in sorted(self.folder.iterdir()):
            sum_.update(file.name.encode() + b"\0" + file.read_bytes())
        return sum_.hexdigest()[:16]


def built(module: GoModule) -> Path:
    """Return the folder with a module's programs, building it where this machine never did.

    Raises
    ------
    ClusterError
        If the build fails; the message ends with the compiler's last lines.
    """
    return made_once(cache_home() / "bin" / f"{module.name}-{module.digest}", lambda target: _build(module, target))


def commands(module: GoModule, target: Path) -> list[list[str]]:
    """Return the commands that build a module's programs into a folder, one after the other."""
    build = ["build", "-v", *module.flags, "-o", f"{target}/", *module.packages]
    tests = (
        ["test", "-c", "-vet=off", *module.flags, "-o", str(target / f"{_last(package)}.test"), package]
        for package in module.tests
    )
    return [[str(go()), *words] for words in (build, *tests)]


def _last(package: str) -> str:
    return package.rsplit("/", 1)[1]


def _build(module: GoModule, target: Path) -> None:
    if module.debian:
        ensure_packages(module.debian, f"building {module.name}")
    again = Retrying(
        retry=retry_if_exception_type(RegistryUnreachableError),
        stop=stop_after_attempt(4),
        wait=wait_exponential(multiplier=3),
        reraise=True,
    )
    again(_compile, module, target)
    for file in module.files:
        shutil.copyfile(_module_folder(module, file.module) / file.path, target / file.name)
    for alias in module.aliases:
        (target / alias).symlink_to(module.name)


def _module_folder(module: GoModule, path: str) -> Path:
    """Return where the files of a required module are."""
    told = run(go(), "mod", "download", "-json", path, cwd=module.folder, environment=go_environment())
    return Path(json.loads(told)["Dir"])


def _compile(module: GoModule, target: Path) -> None:
    log = cache_home() / "bin" / f"{module.name}.log"
    with step(f"building {module.name} {module.version}") as progress, log.open("w") as output:
        for command in commands(module, target):
            if _compiler(module, command, output, lambda: progress.tell(f"{log.read_text().count(chr(10))} packages")):
                raise _failure(module, log.read_text())


def _compiler(module: GoModule, command: list[str], output: TextIO, tell: Callable[[], None]) -> int:
    """Run the compiler to its end and return its status."""
    environment = {**go_environment(), "CGO_ENABLED": "1" if module.debian else "0"}
    compiler = subprocess.Popen(command, cwd=module.folder, env=environment, stderr=output, stdout=output)
    try:
        while compiler.poll() is None:
            tell()
            time.sleep(0.5)
    finally:
        compiler.terminate()
        compiler.wait()
    return compiler.returncode


def _failure(module: GoModule, output: str) -> ClusterError:
    # With -v the compiler also names every package that it finished.
    lines = [line for line in output.splitlines() if " " in line]
    kind = RegistryUnreachableError if NETWORK_TROUBLE.search(output) else ClusterError
    return kind(f"building {module.name} failed:\n" + "\n".join(lines[-15:]))
