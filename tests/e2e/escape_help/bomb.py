"""Takes as much as it gets, up to what is far over the limits of the test: bomb.py KIND MARK [FOLDER]. Says "all-MARK" then."""
import os
import sys
import threading
import time

kind, mark = sys.argv[1:3]
MB = 1 << 20


def take(megabytes):
    return [os.urandom(1) * (10 * MB) for _ in range(megabytes // 10)]


if kind == "fork":
    made = 0
    try:
        while made < 800:
            if os.fork() == 0:
                os.execvp("sleep", [mark, "60"])
            made += 1
    except OSError as e:
        print("after", made, e)
        os._exit(1)
elif kind == "thread":
    threading.stack_size(65536)
    for _ in range(800):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
elif kind == "memory":
    kept = take(1000)
    time.sleep(1)
elif kind == "memories":
    children = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            kept = take(200)
            time.sleep(2)
            os._exit(0)
        children.append(pid)
    if any(os.waitpid(pid, 0)[1] for pid in children):
        sys.exit("a part was ended")
elif kind == "file":
    with open(sys.argv[3] + "/big-" + mark, "wb") as f:
        for _ in range(20):
            f.write(b"x" * (10 * MB))
elif kind == "files":
    for i in range(16):
        with open("%s/big-%s-%d" % (sys.argv[3], mark, i), "wb") as f:
            f.write(b"x" * (50 * MB))
        time.sleep(0.1)
print("all-" + mark)
sys.stdout.flush()
os._exit(0)
