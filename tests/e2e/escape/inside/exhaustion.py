"""Takes all that there is, each in bounds of its own: where no limit stops it, it stops by itself and says so."""

import contextlib
import ctypes
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .kit import ClosedError, Group, Scene

GROUP = Group()
MEBI = 1 << 20
KILLED = "killed by SIGKILL"


@contextlib.contextmanager
def ended(children: list[int]) -> Iterator[None]:
    """End the children, whatever happens."""
    try:
        yield
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


@GROUP.attempt("forks 4 000 processes", "EAGAIN", control="", seconds=40,
               note="the kubelet's podPidsLimit; a cluster without it needs it set")  # fmt: skip
def fork_bomb(_scene: Scene) -> str:
    children: list[int] = []
    with ended(children):
        for _ in range(4000):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    return f"{len(children)} processes"


@GROUP.attempt("starts 4 000 threads", "EAGAIN", control="", seconds=40, note="the same limit counts them")
def threads(_scene: Scene) -> str:
    threading.stack_size(64 << 10)
    enough = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(4000):
            started.append(threading.Thread(target=enough.wait, daemon=True))
            started[-1].start()
    except RuntimeError as error:
        raise BlockingIOError(11, str(error)) from error
    finally:
        enough.set()
    return f"{len(started)} threads"


@GROUP.attempt("takes 2 GiB of memory", KILLED, control="", seconds=60, note="the memory limit")
def memory(_scene: Scene) -> str:
    taken = [bytearray(b"x" * MEBI) for _ in range(2048)]
    return f"{len(taken)} MiB"


def fill(folder: str, mebibytes: int) -> str:
    """Write a file until there is no more room."""
    file = Path(folder, "filling")
    try:
        with file.open("wb", buffering=0) as out:
            for _ in range(mebibytes):
                out.write(bytes(MEBI))
    finally:
        file.unlink()
    return f"{mebibytes} MiB"


@GROUP.attempt("fills /dev/shm with 2 GiB", "ENOSPC", KILLED, control="", seconds=60,
               note="its own size, or the memory limit, which counts it")  # fmt: skip
def shared_memory(_scene: Scene) -> str:
    return fill("/dev/shm", 2048)


@GROUP.attempt(
    "fills /dev with 2 GiB", "ENOSPC", KILLED, control="", seconds=60, note="its own size, or the memory limit"
)
def devices(_scene: Scene) -> str:
    return fill("/dev", 2048)


@GROUP.attempt("makes System V shared memory of 2 GiB", "ENOSPC", "ENOMEM", KILLED, control="", seconds=60,
               note="the memory limit, which counts it")  # fmt: skip
def system_v(_scene: Scene) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    made = libc.shmget(0, ctypes.c_size_t(2048 * MEBI), 0o1600)
    if made < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    where = libc.shmat(made, None, 0)
    libc.shmctl(made, 0, None)
    for _ in range(8):
        ctypes.memset(where, 1, 256 * MEBI)
        where += 256 * MEBI
    return "2 GiB"


@GROUP.attempt("opens a million files", "EMFILE", "ENFILE", KILLED, "the neighbour works", control="", seconds=60,
               note="the limit of descriptors, or of memory, which counts what the kernel keeps of each")  # fmt: skip
def descriptors(_scene: Scene) -> str:
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1_000_000)]
    raise ClosedError("the neighbour works" if opened else "nothing opened")


@GROUP.attempt("keeps 4 GiB in unread sockets", "EMFILE", "ENFILE", "ENOBUFS", KILLED, control="",
               seconds=60, note="the memory limit, which counts their buffers, or that of descriptors")  # fmt: skip
def socket_buffers(_scene: Scene) -> str:
    kept = []
    for _ in range(20_000):
        writing, reading = socket.socketpair()
        writing.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                writing.send(bytes(65536))
        kept += [writing, reading]
    return f"{len(kept)} sockets full"


@GROUP.attempt("computes in eight processes for five seconds", "the neighbour works", control="", seconds=30,
               note="the CPU limit")  # fmt: skip
def processor(_scene: Scene) -> str:
    children: list[int] = []
    with ended(children):
        for _ in range(8):
            child = os.fork()
            if child == 0:
                while True:
                    pass
            children.append(child)
        time.sleep(5)
    raise ClosedError("the neighbour works")


@GROUP.attempt("makes 20 000 files", "the neighbour works", control="", seconds=60,
               note="inodes are the node's: its nodefs.inodesFree evicts, and must not be turned off")  # fmt: skip
def files(_scene: Scene) -> str:
    folder = Path("/workspace/many")
    folder.mkdir()
    for number in range(20_000):
        (folder / str(number)).touch()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    raise ClosedError("the neighbour works")


@GROUP.attempt("kills every process that it can", KILLED, "the neighbour works", control="", seconds=10,
               note="no control: where processes are shared it would end the node")  # fmt: skip
def kill_all(_scene: Scene) -> str:
    os.kill(-1, signal.SIGKILL)
    raise ClosedError("the neighbour works")
