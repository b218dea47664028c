"""Shows the package a system like Windows; run as a script, it then runs the code that it is given.

Only modules of `ppo_cli` see it: libraries go on to see the real system, since they have branches of their own.
Hidden are the modules and the attributes of `os`, `signal` and `time` that Windows does not have. `msvcrt` is a
stand-in whose locks are those of the real system: the branches for Windows lock the same files as `filelock` does.

This is no Windows: file names, open files and processes behave as they do here.
"""

import builtins
import fcntl
import os
import signal
import sys
import time
import types

HIDDEN_MODULES = frozenset({"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp"})
HIDDEN = {
    "os": frozenset(
        "fork forkpty setsid setpgid getpgid killpg getuid geteuid getgid getegid setuid chown fchown lchown fchmod "
        "sysconf sysconf_names nice getloadavg uname mkfifo openpty wait wait3 wait4 waitid WNOHANG sched_getaffinity "
        "statvfs O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_NOCTTY O_SYNC sync fdatasync pread pwrite".split()
    ),
    "signal": frozenset(
        "SIGHUP SIGUSR1 SIGUSR2 SIGKILL SIGALRM SIGVTALRM SIGPROF SIGPIPE SIGCHLD SIGQUIT SIGSTOP SIGCONT SIGTSTP "
        "SIGTTIN SIGTTOU SIGWINCH alarm setitimer getitimer ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF pause pthread_kill "
        "pthread_sigmask sigwait siginterrupt".split()
    ),
    "time": frozenset({"pthread_getcpuclockid", "clock_gettime", "tzset"}),
    "sys": frozenset(),
}
INSTEAD = {"os": {"name": "nt"}, "sys": {"platform": "win32"}}


class SeenOnWindows(types.ModuleType):
    """A module without what Windows lacks; to set an attribute sets that of the real one."""

    def __init__(self, real):
        super().__init__(real.__name__)
        object.__setattr__(self, "_real", real)

    def __getattr__(self, name):
        real = object.__getattribute__(self, "_real")
        if name in HIDDEN[real.__name__]:
            raise AttributeError(f"module {real.__name__!r} has no attribute {name!r} on Windows")
        return INSTEAD.get(real.__name__, {}).get(name, getattr(real, name))

    def __setattr__(self, name, value):
        setattr(object.__getattribute__(self, "_real"), name, value)


def _locking(file, mode, _count):
    fcntl.flock(file, FLOCK[mode])


MSVCRT = types.ModuleType("msvcrt")
MSVCRT.LK_UNLCK, MSVCRT.LK_LOCK, MSVCRT.LK_NBLCK, MSVCRT.locking = 0, 1, 2, _locking
FLOCK = (fcntl.LOCK_UN, fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB)
SEEN = {name: SeenOnWindows(real) for name, real in {"os": os, "signal": signal, "time": time, "sys": sys}.items()}
SEEN["msvcrt"] = MSVCRT
ASKED = set()
"""Modules of `ppo_cli` that were shown such a system."""


def show():
    """From now on `ppo_cli` sees it; none of its modules may be loaded yet."""
    assert not [name for name in sys.modules if name.partition(".")[0] == "ppo_cli"]
    real_import = builtins.__import__

    def seen(name, globals=None, locals=None, fromlist=(), level=0):  # noqa: A002 - as `__import__` names them
        importer = (globals or {}).get("__name__") or ""
        if level or importer.partition(".")[0] != "ppo_cli":
            return real_import(name, globals, locals, fromlist, level)
        if name in HIDDEN_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r} on Windows, asked for by {importer}", name=name)
        if name not in SEEN:
            return real_import(name, globals, locals, fromlist, level)
        ASKED.add(importer)
        for wanted in fromlist or ():
            getattr(SEEN[name], wanted)
        return SEEN[name]

    builtins.__import__ = seen


if __name__ == "__main__":
    show()
    sys.argv = sys.argv[1:]
    exec(compile(sys.argv[0], "<given>", "exec"), {"__name__": "__main__"})
