"""Becomes a daemon by the book: daemon.py MARK."""
import os
import sys

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.execvp("sleep", [sys.argv[1], "60"])
    os._exit(0)
