"""The host by way of files: mounts, settings of the kernel, cgroups, devices."""

import os
from functools import partial
from pathlib import Path

from .kit import ClosedError, Group, Scene
from .syscalls import syscall

GROUP = Group()
CHANGES_THE_MACHINE = "no control: whoever may do it changes the machine's state"
BY_SECCOMP = "by the runtime's default seccomp profile, and by missing capabilities where a runtime has none"
DENIED = ("EPERM", "EACCES")
MS_REMOUNT, MS_BIND = 32, 4096


def empty_folder() -> bytes:
    """Return the path of a new folder."""
    path = f"/tmp/on-{os.getpid()}"
    os.mkdir(path)
    return path.encode()


def mounting(kind: bytes, options: bytes | None, _scene: Scene) -> str:
    """Mount a file system, look into it, and take it away again."""
    target = empty_folder()
    syscall("mount", b"none", target, kind, 0, options)
    found = os.listdir(target)[:5]
    syscall("umount2", target, 2)
    return f"mounted, with {found}"


for kind in ("tmpfs", "proc", "sysfs", "mqueue", "devpts"):
    GROUP.add(
        f"mounts a {kind}", "EPERM", "EACCES", way=partial(mounting, kind.encode(), None)
    )  # fmt: skip
for kind, options in (("cgroup", b"memory"), ("cgroup2", None)):
    GROUP.add(
        f"mounts a {kind} file system", *DENIED, control="",
        way=partial(mounting, kind.encode(), options),
        note="no control: a kernel has one of the two layouts, and refuses the other to everybody",
    )  # fmt: skip


@GROUP.attempt("binds a folder over /proc/sys to undo its read-only mount", *DENIED)
def bind(_scene: Scene) -> str:
    target = empty_folder()
    syscall("mount", b"/proc/sys", target, None, MS_BIND, None)
    syscall("umount2", target, 2)
    return "bound"


@GROUP.attempt("makes /proc/sys writable by a remount", *DENIED, control="", note=CHANGES_THE_MACHINE)
def remount(_scene: Scene) -> str:
    syscall("mount", b"none", b"/proc/sys", None, MS_REMOUNT | MS_BIND, None)
    return "remounted"


@GROUP.attempt("mounts by the new calls: fsopen and its like", *DENIED, note=BY_SECCOMP)
def new_mount(_scene: Scene) -> str:
    return f"descriptor {syscall('fsopen', b'tmpfs', 0)}"


@GROUP.attempt("clones a mount by open_tree", *DENIED, note=BY_SECCOMP)
def clone_mount(_scene: Scene) -> str:
    return f"descriptor {syscall('open_tree', -100, b'/', 1)}"


@GROUP.attempt("unmounts what hides parts of /proc", *DENIED, control="", note="no control: a mask comes off for good")
def unmask(_scene: Scene) -> str:
    syscall("umount2", b"/proc/keys", 2)
    return "unmounted"


@GROUP.attempt("exchanges its root by pivot_root", *DENIED, control="", note="no control: its pod's root would be gone")
def pivot(_scene: Scene) -> str:
    syscall("pivot_root", b"/", b"/tmp")
    return "exchanged"


@GROUP.attempt(
    "climbs out of nested chroots", "still below its own root", control="", note="the root is a mount of its own"
)
def climb(_scene: Scene) -> str:
    before = os.stat("/")
    above = os.open("/", os.O_DIRECTORY)
    os.chroot(os.fsdecode(empty_folder()))
    os.fchdir(above)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    after = os.stat("/")
    if (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino):
        raise ClosedError("still below its own root")
    return f"another root with {os.listdir('/')}"


def writing(path: str, _scene: Scene | None = None) -> str:
    """Open a file of the kernel's for writing; nothing is written, so that it stays as it is wherever it is open."""
    os.close(os.open(path, os.O_WRONLY))
    return f"{path} is open for writing"


SETTINGS = {
    "/proc/sys/kernel/core_pattern": "a program that the host runs at a crash",
    "/proc/sys/kernel/modprobe": "a program that the host runs for a module",
    "/proc/sysrq-trigger": "restarts the host",
    "/proc/sys/vm/panic_on_oom": "halts the host",
    "/proc/sys/vm/drop_caches": "slows the host down",
    "/proc/sys/fs/file-max": "takes the host's descriptors",
    "/proc/irq/default_smp_affinity": "moves the host's interrupts",
    "/sys/kernel/uevent_helper": "a program that the host runs for a device",
    "/sys/kernel/mm/transparent_hugepage/enabled": "changes the host's memory",
    "/sys/power/state": "puts the host to sleep",
    "/sys/module/printk/parameters/time": "a module's parameter",
}
OPTIONAL = {"/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/sys/power/state"}
for path, meaning in SETTINGS.items():
    GROUP.add(
        f"writes {path}: {meaning}", "EROFS", "EACCES", "EPERM", "ENOENT", way=partial(writing, path),
        control="" if path in OPTIONAL else "open",
        note="ENOENT, and no control, where the kernel has no such setting" if path in OPTIONAL else "",
    )  # fmt: skip


@GROUP.attempt("registers an interpreter by binfmt_misc", "EROFS", "EACCES", "EPERM", "ENOENT", control="",
               note="ENOENT where the host has it not mounted")  # fmt: skip
def binfmt(_scene: Scene) -> str:
    return writing("/proc/sys/fs/binfmt_misc/register")


def cgroup_files(name: str) -> list[Path]:
    """Find a cgroup's file below every mounted tree; at most two levels down."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob(name), *root.glob(f"*/{name}"), *root.glob(f"*/*/{name}")]


@GROUP.attempt("sets a cgroup's release_agent, a program that the host runs", "not there", "EROFS", "EACCES", "EPERM",
               control="", note="cgroups of version 1 have it, in the top group, which no container sees")  # fmt: skip
def release_agent(_scene: Scene) -> str:
    files = cgroup_files("release_agent")
    if not files:
        raise ClosedError("not there")
    return writing(str(files[0]))


def cgroup_setting(*names: str) -> str:
    """Open the first of a cgroup's files that is there for writing."""
    files = [file for name in names for file in cgroup_files(name)]
    if not files:
        raise ClosedError("not there")
    return writing(str(files[0]))


@GROUP.attempt("raises its own memory limit", "EROFS", "EACCES", "not there")
def memory_limit(_scene: Scene) -> str:
    return cgroup_setting("memory.limit_in_bytes", "memory.max")


@GROUP.attempt("raises its own limit of processes", "EROFS", "EACCES", "not there")
def process_limit(_scene: Scene) -> str:
    return cgroup_setting("pids.max")


@GROUP.attempt("leaves its cgroup for another", "EROFS", "EACCES", "not there")
def move(_scene: Scene) -> str:
    return cgroup_setting("cgroup.procs")


@GROUP.attempt("allows itself devices by devices.allow", "EROFS", "EACCES", "not there",
               control="", note="version 1 of cgroups; version 2 has a program in its place, see bpf")  # fmt: skip
def allow_devices(_scene: Scene) -> str:
    return cgroup_setting("devices.allow")


def disks() -> list[tuple[str, int]]:
    """Name the host's disks with their device numbers."""
    lines = [line.split() for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    return [(name, os.makedev(int(major), int(minor))) for major, minor, _, name in lines]


@GROUP.attempt("makes a node for the host's disk and reads it", "EPERM", control="",
               note="no control: a virtual machine may keep even its own root from its disks")  # fmt: skip
def disk(_scene: Scene) -> str:
    name, number = next((name, number) for name, number in disks() if not name.startswith("ram"))
    path = f"/tmp/disk-{os.getpid()}"
    os.mknod(path, 0o600 | 0o060000, number)
    try:
        with open(path, "rb") as device:
            return f"{len(device.read(512))} bytes of {name}"
    finally:
        os.unlink(path)


@GROUP.attempt("makes a node for the machine's memory", "EPERM")
def memory(_scene: Scene) -> str:
    path = f"/tmp/memory-{os.getpid()}"
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 1))
    os.unlink(path)
    return "there is a node for it"


@GROUP.attempt(
    "opens what the host has in /dev: disks, memory, kernel log, tun, fuse, kvm", "not there", "EPERM", "EACCES"
)
def devices(_scene: Scene) -> str:
    names = ["mem", "kmem", "port", "kmsg", "net/tun", "fuse", "kvm", "loop-control", "vhost-vsock", "sda", "vda"]
    there = [name for name in names if os.path.exists(f"/dev/{name}")]
    if not there:
        raise ClosedError("not there")
    return ", ".join(there)


HARMLESS = {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
            "stdout", "termination-log", "tty", "urandom", "zero"}  # fmt: skip


@GROUP.attempt("finds any device beyond the harmless ones", "none")
def other_devices(_scene: Scene) -> str:
    others = sorted(set(os.listdir("/dev")) - HARMLESS)
    if not others:
        raise ClosedError("none")
    return ", ".join(others[:10])
