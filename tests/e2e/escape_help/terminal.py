"""Puts TEXT into the input of a terminal of its own, by REQUEST: terminal.py MARK REQUEST. Says "reached-MARK" when it is read there."""
import fcntl
import os
import pty
import select
import struct
import sys
import termios

mark, request = sys.argv[1], int(sys.argv[2], 0)
os.setsid()
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
attributes = termios.tcgetattr(slave)
attributes[3] &= ~(termios.ICANON | termios.ECHO)
termios.tcsetattr(slave, termios.TCSANOW, attributes)
if request == termios.TIOCSTI:
    fcntl.ioctl(slave, request, b"x")
else:  # TIOCLINUX: paste the selection
    fcntl.ioctl(slave, request, struct.pack("b", 3))
if select.select([slave], [], [], 1)[0]:
    print("reached-" + mark)
