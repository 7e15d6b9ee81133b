"""Starts a program that lies in memory alone: memory_program.py PROGRAM ARGUMENT..."""
import os
import sys

fd = os.memfd_create("x", 0)
with open(sys.argv[1], "rb") as f:
    os.write(fd, f.read())
os.execve(fd, [os.path.basename(sys.argv[1])] + sys.argv[2:], os.environ)
