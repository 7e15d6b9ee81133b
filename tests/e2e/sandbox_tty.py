"""`cadre sandbox` in a terminal: sandbox_tty.py CASE. Each case types into a pseudo terminal, as a user would, and fails with what
it saw. Environment: CADRE, BOX (words after `cadre sandbox`, may be unset)."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

BOX = [os.environ["CADRE"], "sandbox"] + os.environ.get("BOX", "").split() + ["--"]
BASH = ["bash", "--norc", "--noprofile", "-i"]
MARK = "ttymark-%d" % os.getpid()
os.environ["PS1"] = "ready> "
SLEEP = "exec -a %s sleep 60" % MARK  # of bash


class Terminal:
    def __init__(self, argv):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
                signal.signal(number, signal.SIG_DFL)  # a test that runs in the background has them ignored
            os.execvp(argv[0], argv)

    def read(self):
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.seen += os.read(self.fd, 65536)
            except OSError:
                time.sleep(0.05)

    def expect(self, text):
        """Reads on until TEXT has come; what came before it is done with."""
        end = time.monotonic() + 20
        while text.encode() not in self.seen:
            if time.monotonic() > end:
                sys.exit("never came: %r; seen: %r" % (text, self.seen[-500:]))
            self.read()
        self.seen = self.seen.partition(text.encode())[2]

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """The exit code as Python gives it: negative for a signal."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                return os.waitstatus_to_exitcode(status)
            self.read()
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("it did not end; seen: %r" % self.seen[-500:])


def is_equal(got, expected):
    if got != expected:
        sys.exit("got %r, expected %r" % (got, expected))


def living(prefix=MARK):
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                found += f.read().startswith(prefix.encode())
        except OSError:
            pass
    return found


def wait_until_living(count):
    end = time.monotonic() + 20
    while living() != count:
        if time.monotonic() > end:
            sys.exit("%d of them live, expected %d" % (living(), count))
        time.sleep(0.05)


def a_shell(argv):
    """An interactive bash, which is ready."""
    t = Terminal(argv)
    t.expect("ready> ")
    return t


def in_a_shell(command):
    """`cadre sandbox -- bash -c COMMAND` as a user's shell starts it."""
    t = a_shell(BASH)
    words = BOX + ["bash", "-c", command]
    t.type(" ".join("'%s'" % w for w in words) + "\n")
    return t


def code_is(shell, code):
    """The command has ended, and its shell says how."""
    shell.expect("ready> ")
    shell.type("echo code=$?\n")
    shell.expect("code=%d\r\n" % code)


def interrupt():
    t = Terminal(BOX + ["bash", "-c", "echo go; " + SLEEP])
    t.expect("go")
    wait_until_living(1)
    t.type("\x03")
    is_equal(t.end(), -signal.SIGINT)


def interrupt_in_a_shell():
    t = in_a_shell("echo g\"\"o; " + SLEEP)
    t.expect("go\r\n")
    wait_until_living(1)
    t.type("\x03")
    code_is(t, 130)


def quit_key():
    t = Terminal(BOX + ["bash", "-c", "ulimit -c 0; echo go; " + SLEEP])
    t.expect("go")
    wait_until_living(1)
    t.type("\x1c")
    is_equal(t.end(), -signal.SIGQUIT)


def interrupt_is_the_commands_to_answer():
    t = Terminal(BOX + ["bash", "-c", "trap 'echo caught; exit 7' INT; echo go; while :; do sleep 0.05; done"])
    t.expect("go")
    t.type("\x03")
    t.expect("caught")
    is_equal(t.end(), 7)


def interrupt_comes_once():
    t = Terminal(BOX + ["bash", "-c", "n=0; trap 'n=$((n + 1)); echo caught $n' INT; echo go; while :; do sleep 0.05; done"])
    t.expect("go")
    for n in range(1, 6):
        t.type("\x03")
        t.expect("caught %d\r\n" % n)
        time.sleep(0.3)
    t.read()
    is_equal(b"caught" in t.seen, False)
    os.kill(t.pid, signal.SIGINT)  # and once when somebody sends it
    t.expect("caught 6\r\n")
    time.sleep(0.3)
    t.read()
    is_equal(b"caught" in t.seen, False)
    os.kill(t.pid, signal.SIGTERM)
    is_equal(t.end(), -signal.SIGTERM)


def resize():
    t = Terminal(BOX + ["bash", "-c", "trap 'exit 8' INT; trap 'stty size' WINCH; echo go; while :; do sleep 0.05; done"])
    t.expect("go")
    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    t.expect("33 77")
    t.type("\x03")
    is_equal(t.end(), 8)


def stop_and_go_on():
    t = in_a_shell("echo g\"\"o; read line; echo went $line; exit 4")
    t.expect("go\r\n")
    t.type("\x1a")
    t.expect("Stopped")
    t.expect("ready> ")
    t.type("fg\n")
    t.expect("read line")  # the shell names what goes on, and gives it the terminal
    t.type("on\n")
    t.expect("went on\r\n")
    code_is(t, 4)


def stop_is_the_commands_to_answer():
    t = in_a_shell("trap \"echo cau\"\"ght; exit 5\" TSTP; echo g\"\"o; while :; do sleep 0.05; done")
    t.expect("go\r\n")
    t.type("\x1a")
    t.expect("caught")
    code_is(t, 5)


def suspended_shell():
    """A command with a process group of its own stops, and gets the terminal back."""
    t = a_shell(BASH)
    t.type(" ".join(BOX + BASH) + "\n")
    t.expect("ready> ")
    t.type("PS1='with''in> '\n")
    t.expect("within> ")
    t.type("suspend\n")
    t.expect("ready> ")
    t.type("fg\n")
    t.type("echo b''ack\n")
    t.expect("back\r\n")
    t.type("exit 3\n")
    code_is(t, 3)


def stopped_and_left():
    """The user's shell dies while the command is stopped."""
    t = in_a_shell("echo g\"\"o; " + SLEEP)
    t.expect("go\r\n")
    wait_until_living(1)
    t.type("\x1a")
    t.expect("Stopped")
    os.kill(t.pid, signal.SIGKILL)
    os.waitpid(t.pid, 0)
    os.close(t.fd)
    wait_until_living(0)


def suspended_and_left():
    t = a_shell(BASH)
    t.type(" ".join(BOX + ["bash", "-c"]) + " 'PS1=\"rea\"\"dy> \" exec -a %s bash --norc --noprofile -i'\n" % MARK)
    t.expect("ready> ")
    t.type("suspend\n")
    t.expect("ready> ")
    os.kill(t.pid, signal.SIGKILL)
    os.waitpid(t.pid, 0)
    os.close(t.fd)
    wait_until_living(0)


def hang_up():
    t = a_shell(BOX + BASH)
    t.type("bash -c '%s'\n" % SLEEP)
    wait_until_living(1)
    os.close(t.fd)
    wait_until_living(0)


def killed():
    all_signals([signal.SIGKILL])


def signals():
    all_signals([signal.SIGTERM, signal.SIGHUP, signal.SIGINT])


def all_signals(numbers):
    for number in numbers:
        t = Terminal(BOX + ["bash", "-c", "(%s &); (setsid bash -c '%s' &); echo go; %s" % (SLEEP, SLEEP, SLEEP)])
        t.expect("go")
        wait_until_living(3)
        os.kill(t.pid, number)
        is_equal(t.end(), -number)
        wait_until_living(0)


def shell():
    t = a_shell(BOX + BASH)
    t.type("echo hallX\x7fo\n")  # the line is edited
    t.expect("hallo\r\n")
    t.type("sleep 60\n")
    time.sleep(0.3)
    t.type("\x1a")
    t.expect("Stopped")
    t.type("fg\n")
    t.expect("sleep 60\r\n")
    time.sleep(0.2)
    t.type("\x03")
    code_is(t, 130)
    t.type("\x1b[A")  # the history
    t.expect("echo code=$?")
    t.type("\x15tty && echo x >$(tty) && echo named\n")
    t.expect("named\r\n")
    t.type("exit 6\n")
    is_equal(t.end(), 6)


def python():
    t = Terminal(BOX + ["/usr/bin/python3", "-q"])
    t.expect(">>> ")
    t.type("6*7X\x7f\n")
    t.expect("42")
    t.type("\x1b[A\n")
    t.expect("6*7")
    t.expect("42")
    t.type("import time; print('sleep' + 's'); time.sleep(60)\n")
    t.expect("sleeps\r\n")
    t.type("\x03")
    t.expect("KeyboardInterrupt")
    t.expect(">>> ")
    t.type("raise SystemExit(9)\n")
    is_equal(t.end(), 9)


globals()[sys.argv[1]]()
