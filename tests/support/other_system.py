"""Runs edge or trainer as if this were another system.

    python -m tests.support.other_system SYSTEM COMMAND [ARGUMENT ...]

SYSTEM is win32 or darwin; COMMAND is `edge`, `trainer`, or `import` with the names of packages, whose modules are all
imported. Only code of the two packages notices: for it `sys.platform` is SYSTEM, modules, functions and constants that
the system lacks do not exist, and neither does /proc. Libraries remain those of this machine, and so do its paths,
consoles, cameras and rules for open files: that needs the system itself.
"""

from __future__ import annotations

import builtins
import fcntl
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("edge", "trainer")
LACKS_MODULES = {
    "win32": {"fcntl", "termios", "tty", "pty", "resource", "pwd", "grp", "syslog", "curses", "readline", "posix"},
    "darwin": {"msvcrt"},
}
ONLY_LINUX = {
    "os": {"pipe2", "eventfd", "eventfd_read", "eventfd_write", "EFD_CLOEXEC", "EFD_NONBLOCK", "sched_getaffinity"}
    | {"memfd_create", "posix_fadvise", "O_DIRECT", "O_TMPFILE", "O_PATH", "sched_setaffinity", "fdatasync"},
    "time": {"CLOCK_BOOTTIME"},
    "select": {"epoll", "EPOLLIN"},
    "socket": {"AF_NETLINK", "AF_PACKET", "SO_PEERCRED"},
    "signal": {"SIGPWR", "SIGRTMIN", "SIGRTMAX", "sigtimedwait", "sigwaitinfo"},
}
ONLY_POSIX = {
    "os": {"O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_SYNC", "O_NOCTTY", "set_blocking", "get_blocking"}
    | {"getuid", "geteuid", "getgid", "getegid", "getgroups", "uname", "nice", "sysconf", "statvfs", "mkfifo", "pread"}
    | {"pwrite", "fork", "setsid", "killpg", "getpgid", "wait", "WNOHANG", "chown", "fchown", "fchmod", "getloadavg"}
    | {"sync", "ctermid", "ttyname", "register_at_fork", "WIFSIGNALED", "WTERMSIG"},
    "time": {"clock_gettime", "CLOCK_MONOTONIC", "tzset"},
    "select": {"poll", "POLLIN", "POLLOUT", "POLLHUP", "POLLERR", "PIPE_BUF"},
    "selectors": {"PollSelector", "EpollSelector"},
    "socket": {"AF_UNIX", "SCM_RIGHTS", "MSG_NOSIGNAL", "MSG_DONTWAIT", "CMSG_LEN"},
    "signal": {"SIGHUP", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGTSTP"}
    | {"SIGCONT", "SIGXCPU", "SIGXFSZ", "SIGWINCH", "alarm", "setitimer", "pause", "pthread_kill", "pthread_sigmask"},
}


class OtherModule(ModuleType):
    """A module as the other system has it: without the names that it `lacks`, and with those that it `has`."""

    def __init__(self, real: ModuleType, lacks: set[str], has: dict[str, Any]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(has, _real=real, _lacks=lacks)

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(f"module {self._real.__name__!r} has no attribute {name!r} on this system")
        return getattr(self._real, name)


def make_msvcrt() -> ModuleType:
    """Return Windows' module for locks of regions, on those of POSIX."""
    module = ModuleType("msvcrt")

    def locking(descriptor: int, mode: int, size: int) -> None:
        fcntl.lockf(descriptor, mode, size, 0, os.SEEK_CUR)

    module.__dict__.update(locking=locking, LK_LOCK=fcntl.LOCK_EX, LK_NBLCK=fcntl.LOCK_EX | fcntl.LOCK_NB)
    return module


def make_import(system: str) -> Callable[..., ModuleType]:
    """Return what is called in place of `__import__`."""
    real_import = builtins.__import__
    others: dict[str, ModuleType] = {"sys": OtherModule(sys, set(), {"platform": system})}
    for name, lacks in ONLY_LINUX.items() if system == "darwin" else ONLY_POSIX.items():
        lacking = lacks | ONLY_LINUX.get(name, set())
        has = {"name": "nt", "O_BINARY": 0} if (system, name) == ("win32", "os") else {}
        others[name] = OtherModule(importlib.import_module(name), lacking, has)
    if system == "win32":
        others["msvcrt"] = make_msvcrt()

    def import_module(
        name: str,
        globals: Any = None,  # noqa: A002 (so it is called)
        locals: Any = None,  # noqa: A002
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        importer = str((globals or {}).get("__name__")).partition(".")[0]
        if level == 0 and importer in PACKAGES:
            if name.partition(".")[0] in LACKS_MODULES[system]:
                raise ModuleNotFoundError(f"No module named {name!r} on this system", name=name)
            if name in others:
                return others[name]
        return real_import(name, globals, locals, fromlist, level)

    return import_module


def import_all(package: str) -> int:
    """Import all modules of `package`, without those that need an extra that is not installed; return their number."""
    count = 0
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in ("paho", "tornado", "prometheus_client", "pygame", "optuna"):
                raise
        else:
            count += 1
    return count


def main() -> None:
    _, system, command, *arguments = sys.argv
    builtins.__import__ = make_import(system)
    from edge.system import sysfs

    sysfs.ROOT = Path("/nonexistent")
    if command == "import":
        print(sum(map(import_all, arguments)))
        return
    sys.argv = [command, *arguments]
    importlib.import_module(f"{command}.cli").main()


if __name__ == "__main__":
    main()
