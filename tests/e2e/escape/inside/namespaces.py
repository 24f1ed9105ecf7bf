"""Other processes, other users' names, other namespaces: what root may do with its own and not with anybody else's."""

import ctypes
import errno
import mmap
import os
import signal
import socket
from functools import partial
from pathlib import Path

from .kit import ClosedError, Group, Scene, numbers
from .syscalls import asked, syscall

GROUP = Group()
NEW = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "network": 0x40000000,
    "process": 0x20000000,
    "IPC": 0x08000000,
    "host-name": 0x04000000,
    "cgroup": 0x02000000,
}
NESTED = (
    "by the runtime's default seccomp profile; a runtime that allows nested ones gives root in them over nothing else"
)
MARK = "sk-escape-neighbour"
"""The neighbour has it in a process's arguments, its environment, a file, /dev/shm, and a socket's name."""


def unshare(flag: int, _scene: Scene) -> str:
    """Take a namespace of one's own."""
    syscall("unshare", flag)
    return "unshared"


for name, flag in NEW.items():
    GROUP.add(
        f"makes a {name} namespace of its own", "EPERM", note=NESTED,
        way=partial(unshare, flag),
    )  # fmt: skip


@GROUP.attempt("makes a user namespace and raw sockets in it", "EPERM", note=NESTED)
def nested_raw(_scene: Scene) -> str:
    syscall("unshare", NEW["user"] | NEW["network"])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0):
        return "there is a raw socket"


@GROUP.attempt("makes namespaces by clone3, whose arguments no filter sees", "ENOSYS", "EPERM", note=NESTED)
def clone3(_scene: Scene) -> str:
    arguments = NEW["user"].to_bytes(8, "little") + bytes(24) + signal.SIGCHLD.to_bytes(8, "little") + bytes(48)
    child = syscall("clone3", arguments, len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "there is a child in a user namespace of its own"


@GROUP.attempt("enters the namespaces of process 1 by setns", "EPERM")
def enter(_scene: Scene) -> str:
    descriptor = os.open("/proc/1/ns/mnt", os.O_RDONLY)
    return f"entered: {syscall('setns', descriptor, 0)}"


@GROUP.attempt("gets at a process of another pod by pidfd_open", "ESRCH", control="watchtower")
def pidfd(scene: Scene) -> str:
    return f"descriptor {syscall('pidfd_open', scene['host_pid'], 0)}"


@GROUP.attempt("traces a process of another pod", "ESRCH", control="watchtower")
def trace(scene: Scene) -> str:
    return f"attached: {syscall('ptrace', 0x4206, scene['host_pid'], 0, 0)}"


@GROUP.attempt("reads the memory of a process of another pod", "ESRCH", control="watchtower")
def read_memory(scene: Scene) -> str:
    buffer = ctypes.create_string_buffer(8)
    span = ctypes.addressof(buffer).to_bytes(8, "little") + (8).to_bytes(8, "little")
    return asked("process_vm_readv", scene["host_pid"], span, 1, span, 1, 0, answers=(errno.EFAULT,))


def command_lines() -> dict[int, str]:
    """Return the arguments of every process that is to be seen."""
    lines = {}
    for pid in numbers("/proc"):
        try:
            lines[pid] = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
    return lines


@GROUP.attempt("sees the neighbour's processes", "only its own", control="watchtower")
def neighbours_processes(_scene: Scene) -> str:
    return found([line for line in command_lines().values() if MARK in line])


@GROUP.attempt("sees processes of the node: kubelet, containerd, shims", "only its own", control="watchtower")
def nodes_processes(_scene: Scene) -> str:
    return found([line for line in command_lines().values() if "kubelet" in line or "containerd" in line])


def found(things: list[str]) -> str:
    """Give a find as evidence; nothing found is a closed way."""
    if not things:
        raise ClosedError("only its own")
    return things[0][:80]


@GROUP.attempt(
    "reads the neighbour's secrets from the environment of its processes", "only its own", control="watchtower"
)
def environments(_scene: Scene) -> str:
    return found([str(pid) for pid in numbers("/proc") if MARK.encode() in readable(f"/proc/{pid}/environ")])


def readable(path: str) -> bytes:
    """Read a file; one that cannot be read is empty."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


@GROUP.attempt("looks through /proc/PID/root for another root file system", "only its own", control="watchtower")
def roots(_scene: Scene) -> str:
    own = os.stat("/")
    others = []
    for pid in numbers("/proc"):
        try:
            root = os.stat(f"/proc/{pid}/root/")
        except OSError:
            continue
        if (root.st_dev, root.st_ino) != (own.st_dev, own.st_ino):
            others.append(f"/proc/{pid}/root")
    return found(others)


@GROUP.attempt("finds sockets of the node or the neighbour by abstract names", "only its own", control="neighbour")
def abstract_sockets(_scene: Scene) -> str:
    names = Path("/proc/net/unix").read_text().splitlines()[1:]
    return found([name.split()[-1] for name in names if "@" in name and ("shim" in name or "sk-escape" in name)])


@GROUP.attempt("connects to the neighbour's abstract socket", "ECONNREFUSED", control="neighbour")
def abstract_connect(_scene: Scene) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{MARK}")
        return "connected"


@GROUP.attempt("finds the neighbour's shared memory, queues and semaphores", "only its own", control="neighbour")
def system_v(_scene: Scene) -> str:
    things = [
        line for kind in ("shm", "msg", "sem") for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
    ]
    return found([*things, *(name for name in os.listdir("/dev/shm") if MARK in name)])


@GROUP.attempt("maps address zero to help with faults of the kernel", "EPERM", "EACCES",
               note="vm.mmap_min_addr of the host; root in a user namespace has no right to pass below it")  # fmt: skip
def map_zero(_scene: Scene) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10
    mapped = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, fixed, -1, 0)
    if mapped == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return "mapped"


@GROUP.attempt("gets a capability back from a program with file capabilities", "EPERM",
               note="by the bounding set")  # fmt: skip
def file_capability(_scene: Scene) -> str:
    program = f"/tmp/raw-{os.getpid()}"
    Path(program).write_bytes(Path("/bin/true").read_bytes())
    os.chmod(program, 0o755)
    net_raw = 1 << 13
    os.setxattr(program, "security.capability", b"\x01\x00\x00\x02" + net_raw.to_bytes(4, "little") + bytes(12))
    status = os.posix_spawn(program, [program], {})
    _, code = os.waitpid(status, 0)
    if code != 0:
        raise ClosedError(f"the program ends with {code}")
    return "the program runs with it"


@GROUP.attempt("takes more capabilities than it was given", "none of them")
def capabilities(_scene: Scene) -> str:
    beyond = {
        "NET_ADMIN": 12,
        "NET_RAW": 13,
        "SYS_MODULE": 16,
        "SYS_PTRACE": 19,
        "SYS_ADMIN": 21,
        "MKNOD": 27,
        "BPF": 39,
    }
    status = Path("/proc/self/status").read_text().splitlines()
    bounds = int(next(line.split()[1] for line in status if line.startswith("CapBnd")), 16)
    if not (had := [name for name, bit in beyond.items() if bounds >> bit & 1]):
        raise ClosedError("none of them")
    return ", ".join(had)


@GROUP.attempt("is root of the node too, by its user namespace", "a user of no rights", control="open",
               note="where nodes have no user namespaces it is: status.userNamespace tells")  # fmt: skip
def user_of_the_node(_scene: Scene) -> str:
    _, outside, _ = Path("/proc/self/uid_map").read_text().split()
    if int(outside) >= 65536:
        raise ClosedError("a user of no rights")
    return f"user {outside} of the node"
