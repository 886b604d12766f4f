"""
One process per file: a lock that dies with the process that holds it.

It never waits, and it does not stop a program that does not ask for the lock.
"""

import sys

if sys.platform == "win32":
    import msvcrt
    import os

    # Windows also stops readers of a locked byte: take one that is never written.
    _FAR_AWAY = 1 << 62

    def try_lock(descriptor: int) -> bool:
        """Take the lock until the descriptor is closed; False when it is held."""
        os.lseek(descriptor, _FAR_AWAY, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the lock until the descriptor is closed; False when it is held."""
        try:
            # flock, not lockf: a second open in this very process is refused too.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
