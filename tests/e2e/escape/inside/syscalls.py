"""System calls that Python has no function for."""

import ctypes
import os
import platform

LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers on x86-64, and those that all newer architectures share.
NUMBERS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_open": (434, 434),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call, and return what it does; a failure is an OSError.

    Parameters
    ----------
    arguments
        Numbers, or bytes and buffers for what is passed by its address.
    """
    number = NUMBERS[name][0 if platform.machine() == "x86_64" else 1]
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        failure = ctypes.get_errno()
        raise OSError(failure, os.strerror(failure), name)
    return result


def asked(name: str, *arguments: int | bytes | None, answers: tuple[int, ...]) -> str:
    """Make a system call with arguments that come to nothing.

    Parameters
    ----------
    answers
        Error numbers that only somebody with the right to make the call gets.
    """
    try:
        syscall(name, *arguments)
    except OSError as error:
        if error.errno not in answers:
            raise
        return f"the kernel looked into it ({os.strerror(error.errno or 0)})"
    return "the kernel did it"
