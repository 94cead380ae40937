"""Become another program that dies with its parent: `tether.py PARENT SIGNAL UID GID LOCK ARGV...`.

A script of its own and not a `preexec_fn`: Python code between fork and exec can deadlock when
the parent has threads. It imports three modules and costs about 25 ms.
"""

import ctypes
import os
import sys

NONE = -1
"""For UID and GID: keep the account. For LOCK: no lock is handed down."""
_PR_SET_PDEATHSIG = 1


def die_with_parent(signal: int) -> None:
    """Ask for `signal` when the thread that started this process ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)


def main() -> None:
    parent, signal, uid, gid, lock = (int(word) for word in sys.argv[1:6])
    # Signed here and not by the parent, which may die first; exec keeps the process id.
    if lock != NONE:
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    if uid != NONE:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(signal)  # after setuid: a change of credentials clears it
    # The parent may have died before prctl; then nobody will ever send the signal.
    if os.getppid() != parent:
        sys.exit("tether: the parent is gone")
    os.execv(sys.argv[6], sys.argv[6:])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
