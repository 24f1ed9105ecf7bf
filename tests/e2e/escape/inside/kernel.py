"""The host by way of system calls that rule the whole machine."""

import ctypes
import errno
import os
import socket
import time

from .kit import ClosedError, Group, Scene
from .syscalls import asked, syscall

GROUP = Group()
CHANGES_THE_MACHINE = "no control: whoever may do it changes the machine's state"
BY_SECCOMP = "by the runtime's default seccomp profile, and by missing capabilities where a runtime has none"
NO_MODULES = f"{BY_SECCOMP}; no control: some kernels load none"


@GROUP.attempt("reads the kernel's memory by /proc/kcore", "no bytes", "ENOENT", "EPERM", "EACCES", control="",
               note="masked, or not in the kernel; no control: some kernels lock it for everybody")  # fmt: skip
def kcore(_scene: Scene) -> str:
    with open("/proc/kcore", "rb") as file:
        if not (found := file.read(64)):
            raise ClosedError("no bytes")
        return f"{len(found)} bytes"


@GROUP.attempt("learns from /proc/kallsyms where the kernel's functions are", "zeros only", control="",
               note="no control: kptr_restrict hides them from root too on some hosts")  # fmt: skip
def kallsyms(_scene: Scene) -> str:
    with open("/proc/kallsyms") as file:
        addresses = {line.split()[0].strip("0") for line, _ in zip(file, range(1000), strict=False)}
    if addresses <= {""}:
        raise ClosedError("zeros only")
    return f"{len(addresses)} addresses"


@GROUP.attempt("reads the host's kernel log", "EPERM")
def kernel_log(_scene: Scene) -> str:
    return f"{syscall('syslog', 3, ctypes.create_string_buffer(64), 64)} bytes"


@GROUP.attempt("loads a kernel module", "EPERM", control="", note=NO_MODULES)
def init_module(_scene: Scene) -> str:
    return asked("init_module", b"no module", 9, b"", answers=(errno.ENOEXEC,))


@GROUP.attempt("loads a kernel module from a file", "EPERM", control="", note=NO_MODULES)
def finit_module(_scene: Scene) -> str:
    return asked("finit_module", os.open("/etc/passwd", os.O_RDONLY), b"", 0, answers=(errno.ENOEXEC,))


@GROUP.attempt("unloads a kernel module", "EPERM", control="", note=NO_MODULES)
def delete_module(_scene: Scene) -> str:
    return asked("delete_module", b"no-such-module", 0, answers=(errno.ENOENT,))


@GROUP.attempt(
    "boots another kernel by kexec", "EPERM", control="", note=f"{BY_SECCOMP}; no control: many kernels have none"
)
def kexec(_scene: Scene) -> str:
    return asked("kexec_load", 0, 1000, 0, 0, answers=(errno.EINVAL, errno.ENOSYS))


@GROUP.attempt("creates a map by bpf", "EPERM", note=BY_SECCOMP)
def bpf(_scene: Scene) -> str:
    array_of_one = b"".join(number.to_bytes(4, "little") for number in (2, 4, 4, 1)) + bytes(112)
    return f"descriptor {syscall('bpf', 0, array_of_one, len(array_of_one))}"


@GROUP.attempt("watches the processor by perf_event_open", "EPERM", "EACCES", note=BY_SECCOMP)
def perf(_scene: Scene) -> str:
    software_clock = (1).to_bytes(4, "little") + (112).to_bytes(4, "little") + bytes(104)
    return f"descriptor {syscall('perf_event_open', software_clock, 0, -1, -1, 0)}"


@GROUP.attempt("handles page faults by userfaultfd", "EPERM", note=BY_SECCOMP)
def userfaultfd(_scene: Scene) -> str:
    return asked("userfaultfd", 0, answers=(errno.ENOSYS,))


@GROUP.attempt("sets up io_uring, whose requests pass by seccomp", "EPERM", "ENOSYS",
               note="containerd 2 and Docker 25 have it in no default profile; older ones have")  # fmt: skip
def io_uring(_scene: Scene) -> str:
    return asked("io_uring_setup", 1, bytes(120), answers=(errno.ENOSYS,))


@GROUP.attempt("puts a key into a kernel keyring", "EPERM", note=BY_SECCOMP)
def add_key(_scene: Scene) -> str:
    return f"key {syscall('add_key', b'user', b'sk-escape', b'x', 1, -2)}"


@GROUP.attempt("asks for keys by keyctl", "EPERM", note=BY_SECCOMP)
def keyctl(_scene: Scene) -> str:
    return f"keyring {syscall('keyctl', 0, -3, 1)}"


@GROUP.attempt("opens a host's file by its handle (the Shocker way)", "EPERM", note=BY_SECCOMP)
def by_handle(_scene: Scene) -> str:
    root_of_ext4 = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
    return asked("open_by_handle_at", os.open("/etc/hosts", os.O_RDONLY), root_of_ext4, 0, answers=(errno.ESTALE,))


@GROUP.attempt("watches the whole file system by fanotify", "EPERM", note=BY_SECCOMP)
def fanotify(_scene: Scene) -> str:
    return f"descriptor {syscall('fanotify_init', 0, 0)}"


@GROUP.attempt("sets the machine's clock", "EPERM", control="", note=CHANGES_THE_MACHINE)
def clock(_scene: Scene) -> str:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return "set, to what it was"


@GROUP.attempt("turns off Ctrl-Alt-Del by reboot", "EPERM", control="", note=CHANGES_THE_MACHINE)
def reboot(_scene: Scene) -> str:
    return f"done: {syscall('reboot', 0xFEE1DEAD, 672274793, 0, None)}"


@GROUP.attempt("adds swap space", "EPERM", note=BY_SECCOMP)
def swapon(_scene: Scene) -> str:
    return asked("swapon", b"/no/such/file", 0, answers=(errno.ENOENT,))


@GROUP.attempt("has the host record its processes by acct", "EPERM", note=BY_SECCOMP)
def acct(_scene: Scene) -> str:
    return asked("acct", b"/no/such/file", answers=(errno.ENOENT, errno.ENOSYS))


@GROUP.attempt("changes disk quotas", "EPERM", "ENOSYS", control="", note=CHANGES_THE_MACHINE)
def quotas(_scene: Scene) -> str:
    return asked("quotactl", 0x80000100, None, 0, None, answers=(errno.ENODEV, errno.ENOENT))


@GROUP.attempt("talks to ports of the processor by iopl and ioperm", "EPERM", "ENOSYS", control="",
               note="ENOSYS, and no control, where processor or kernel has no such thing")  # fmt: skip
def ports(_scene: Scene) -> str:
    return f"allowed: {syscall('iopl', 3)}"


@GROUP.attempt("changes the host's name", "EPERM")
def hostname(_scene: Scene) -> str:
    name = socket.gethostname().encode()
    return f"set, to what it was: {syscall('sethostname', name, len(name))}"


@GROUP.attempt("takes precedence over the host's processes by real-time scheduling", "EPERM", control="",
               note="no control: a node may run no real-time process at all, whoever asks")  # fmt: skip
def realtime(_scene: Scene) -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    return "it has"


@GROUP.attempt("talks to the hypervisor by AF_VSOCK", "EPERM", "EAFNOSUPPORT",
               note="no control: EAFNOSUPPORT where the kernel has none; default profiles leave it out",
               control="")  # fmt: skip
def vsock(_scene: Scene) -> str:
    with socket.socket(40, socket.SOCK_STREAM):
        return "there is a socket"
