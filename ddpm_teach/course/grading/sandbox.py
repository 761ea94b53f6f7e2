"""A process that can only compute: what is closed to a submission, by which of Linux's means.

* Limits (setrlimit): memory, processor time, open files, no further process or thread (root's aren't counted by
  Linux), no byte in a file. Its own session, so that all of it is killed together.
* seccomp: a list of the system calls that computing needs, in which there is none that makes a connection, a process or
  a thread, signals another process, or opens a file to write. All others fail.
* Landlock: of the files only Python's, the package's and the processor's description can be read; so a submission reads
  none of the others. (What a path is like, as os.stat tells it, isn't hidden.)

Both of the latter need no privileges, hold for root as well, and can't be undone by the process. Where one of them
can't be had nothing is run, unless the lecturer says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ddpm_teach.storage import course_path

PACKAGE = Path(__file__).parents[2]
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/sys/devices/system")
OPEN_FILES = 256
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # how the kernel calls the processors

# The system calls that computing needs, with their numbers on x86_64 and aarch64; None where there is no such call.
CALLS = """
read 0 63, write 1 64, close 3 57, stat 4 None, fstat 5 80, lstat 6 None, poll 7 None, lseek 8 62, mmap 9 222,
mprotect 10 226, munmap 11 215, brk 12 214, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139,
pread64 17 67, readv 19 65, writev 20 66, access 21 None, select 23 None, sched_yield 24 124, mremap 25 216,
madvise 28 233, dup 32 23, dup2 33 None, nanosleep 35 101, getpid 39 172, exit 60 93, uname 63 160,
getcwd 79 17, chdir 80 49, readlink 89 None, gettimeofday 96 169, getrlimit 97 163, getrusage 98 165,
sysinfo 99 179, times 100 153, getuid 102 174, getgid 104 176, geteuid 107 175, getegid 108 177,
getppid 110 173, sigaltstack 131 132, arch_prctl 158 None, gettid 186 178, time 201 None, futex 202 98,
sched_getaffinity 204 123, getdents64 217 61, set_tid_address 218 96, clock_gettime 228 113,
clock_getres 229 114, clock_nanosleep 230 115, exit_group 231 94, get_mempolicy 239 236, newfstatat 262 79,
readlinkat 267 78, faccessat 269 48, pselect6 270 72, ppoll 271 73, set_robust_list 273 99, dup3 292 24,
getcpu 309 168, getrandom 318 278, statx 332 291, rseq 334 293, membarrier 324 283
"""
# Those that are allowed for some values of one of their arguments: (x86_64, aarch64), which argument, which values.
SOME = {
    "prctl": ((157, 167), 0, [15]),  # a thread's name
    "ioctl": ((16, 29), 1, [0x5401, 0x5413, 0x5450, 0x5451]),  # is it a terminal, how wide; close on exec
    "fcntl": ((72, 25), 1, [0, 1, 2, 3, 1030]),  # copies of open files, and their flags
    "prlimit64": ((302, 261), 0, [0]),  # its own limits, which can't be raised
}
WRITING = 0x1 | 0x2 | 0x40 | 0x200 | 0x400000  # of open's flags: to write, to make, to empty, without a name
FIRST_NEW = 424  # calls from this number on are new: the C library does without them where they don't exist

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06  # of the filter's language, BPF
ALLOW, REFUSE, UNKNOWN, KILL = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38, 0x80000000  # 1 is EPERM, 38 is ENOSYS
GREATER_OR_EQUAL = 0x35
READ = 0x4 | 0x8  # Landlock's rights to read files and folders, of the thirteen that its first edition knows
ALL_RIGHTS = (1 << 13) - 1


class CannotIsolate(OSError):
    """Why this system can't keep a submission apart."""


def limit(memory: int, seconds: int) -> None:
    """Limits this process, and whatever it starts: bytes of memory beyond what it has, seconds of a processor."""
    import resource

    limits = {"CPU": seconds, "NOFILE": OPEN_FILES, "CORE": 0, "FSIZE": 0, "NPROC": 0}
    with contextlib.suppress(OSError):  # only Linux has it, and only there the limit is kept
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["AS"] = pages * resource.getpagesize() + memory
    for name, value in limits.items():
        with contextlib.suppress(ValueError):  # a lower one is there already
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def keep_only(descriptor: int) -> None:
    """Of the open files only this one stays; standard input, output and error are the empty device."""
    empty = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(empty, standard)
    for first, last in ((3, descriptor), (descriptor + 1, os.sysconf("SC_OPEN_MAX"))):
        os.closerange(first, last)


def die_with_parent() -> None:
    """This process ends with the one that started it, however that ends."""
    if sys.platform == "linux":
        _libc().prctl(1, signal.SIGKILL, 0, 0, 0)


def seal() -> None:
    """Closes to this process, for ever, all that isn't computing.

    Raises:
        CannotIsolate: in one sentence, if this system can't.
    """
    if sys.platform != "linux" or platform.machine() not in AUDIT:
        raise CannotIsolate(
            f"submissions can be isolated on Linux alone (x86_64, aarch64), not on {platform.platform()}"
        )
    if len(os.listdir("/proc/self/task")) > 1:
        raise CannotIsolate("submissions can't be isolated here: the process has threads, which would stay as they are")
    libc = _libc()
    if libc.prctl(38, 1, 0, 0, 0):  # no new privileges, which both of them ask for
        raise CannotIsolate(f"submissions can't be isolated here: no_new_privs fails ({_reason()})")
    _close_files(libc)
    _close_calls(libc)


def verify(path: Path) -> None:
    """Tries what shall be impossible: reading `path`, writing, a connection, another process, a signal to one.

    Raises:
        CannotIsolate: if something of it can be done all the same.
    """
    tries = {
        "other files can be read": lambda: os.close(os.open(path, os.O_RDONLY)),
        "files can be written": lambda: os.close(os.open(os.devnull, os.O_WRONLY)),
        "connections can be made": lambda: socket.socket().close(),
        "processes can be started": lambda: os.fork() or os._exit(0),
        "other processes can be signalled": lambda: os.kill(os.getppid(), 0),
    }
    for words, action in tries.items():
        try:
            action()
        except OSError:
            continue
        raise CannotIsolate(f"submissions can't be isolated here: {words} all the same")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _readable() -> Iterator[str]:
    """Where Python, the package and its data lie, and what libraries ask about the processor."""
    yield from {sys.prefix, sys.base_prefix, sys.exec_prefix}
    yield from (path for path in sys.path if Path(path).name in ("site-packages", "dist-packages"))  # a user's own, too
    yield from (str(PACKAGE), str(course_path("data")), str(course_path("notebooks")), *SYSTEM)


def _close_files(libc: ctypes.CDLL) -> None:
    """Landlock: create a set of rules, add one for each path, obey it. The calls have the same numbers everywhere."""
    rights = struct.pack("=Q", ALL_RIGHTS)
    rules = libc.syscall(444, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0:
        raise CannotIsolate(f"submissions can't be isolated here: this kernel has no Landlock ({_reason()})")
    for path in _readable():
        with contextlib.suppress(FileNotFoundError):
            place = os.open(path, os.O_PATH)
            rule = struct.pack("=Qi", READ if os.path.isdir(path) else READ & 0x4, place)
            if libc.syscall(445, rules, 1, rule, 0):
                raise CannotIsolate(f"submissions can't be isolated here: Landlock fails ({_reason()})")
            os.close(place)
    if libc.syscall(446, rules, 0):
        raise CannotIsolate(f"submissions can't be isolated here: Landlock fails ({_reason()})")
    os.close(rules)


def _close_calls(libc: ctypes.CDLL) -> None:
    """seccomp, by a filter that the kernel runs at each system call of this process and its threads."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    code = b"".join(struct.pack("=HBBI", *step) for step in _filter(platform.machine()))
    if libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0):
        raise CannotIsolate(f"submissions can't be isolated here: this kernel has no seccomp ({_reason()})")


def _filter(machine: str) -> Iterator[tuple[int, int, int, int]]:
    """The filter's steps: what to do, how many steps to skip if it holds, and if not, and a number.

    The call's number stands at byte 0 of what is looked at, the processor at 4, the arguments at 16, 24 and so on.
    """
    column = list(AUDIT).index(machine)
    yield from [(LOAD, 0, 0, 4), (EQUAL, 1, 0, AUDIT[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    for words in CALLS.split(","):
        number = words.split()[1 + column]
        if number != "None":
            yield from [(EQUAL, 0, 1, int(number)), (RETURN, 0, 0, ALLOW)]
    for numbers, argument, values in SOME.values():
        yield from _if_called(numbers[column], _one_of(argument, values))
    for number, argument in ((2, 1), (257, 2)) if machine == "x86_64" else ((56, 2),):  # open and openat
        place = 16 + 8 * argument
        yield from _if_called(number, [(LOAD, 0, 0, place), (ANY_BIT, 1, 0, WRITING), (RETURN, 0, 0, ALLOW)])
    yield from [(GREATER_OR_EQUAL, 0, 1, FIRST_NEW), (RETURN, 0, 0, UNKNOWN), (RETURN, 0, 0, REFUSE)]


def _one_of(argument: int, values: Iterable[int]) -> list[tuple[int, int, int, int]]:
    steps = [(LOAD, 0, 0, 16 + 8 * argument)]
    for value in values:
        steps += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return steps


def _if_called(number: int, steps: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Steps for one system call, which is refused if none of them allows it."""
    return [(EQUAL, 0, len(steps) + 1, number), *steps, (RETURN, 0, 0, REFUSE)]
