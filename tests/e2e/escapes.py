"""Runs the attempts of tests/data/escapes.txt under each policy: by `cadre sandbox`, by an agent of `cadre exec`, and, where it is
in reach, by `codex sandbox`; judges by what is found outside of the box, and prints TAP. With a file name in CADRE_ESCAPES_REPORT
the table of all outcomes, side by side, goes there too.

Environment: CADRE, CADRE_SOURCE, SCRATCH (a folder that is not below /tmp), CODEX (a program, may be unset; run under
workspace-write alone without CADRE_ESCAPES_ALL), and the user's own PATH. Only this machine's loopback is used."""
import ctypes
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tty

SOURCE, SCRATCH, CADRE = os.environ["CADRE_SOURCE"], os.environ["SCRATCH"], os.environ["CADRE"]
CODEX = os.environ.get("CODEX")
HELP = SOURCE + "/tests/e2e/escape_help"
POLICIES = ["read-only", "workspace-write", "danger-full-access"]
LIMITS = {"max_processes": 300, "memory_mb": 600, "file_mb": 64}
SECONDS = 25
CODEX_SECONDS = 60  # in `make check`


def parse(path):
    attempts = []
    for number, line in enumerate(open(path), 1):
        line = line.rstrip("\n")
        if line.startswith("== "):
            attempts.append({"id": line[3:], "line": number, "what": None, "body": []})
        elif attempts and not (line.startswith("#") and attempts[-1]["what"] is None):
            a = attempts[-1]
            if a["what"] is None:
                a["what"] = line
            elif line.startswith("expect: ") and "expect" not in a:
                a["expect"] = dict(zip(POLICIES, line.split()[1:]))
            elif line.startswith("check: ") and "check" not in a:
                a["check"] = line.split()[1:]
            else:
                a["body"].append(line)
    for a in attempts:
        a["body"] = "\n".join(a["body"]).strip("\n")
        a["patch"] = a["body"].startswith("@patch\n")
        if len(a.get("expect", {})) != 3 or "check" not in a or not a["body"]:
            sys.exit("%s:%d: an attempt needs expect (3), check and a command" % (path, a["line"]))
    return attempts


class Listener:
    """Everything that can be talked to outside; what it heard."""

    def __init__(self):
        self.heard = []
        self.tcp = self.serve(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self.serve(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        try:
            self.tcp6 = self.serve(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        except OSError:
            self.tcp6 = 1
        token = "cadre-esc-%d" % os.getpid()
        self.paths = {"SOCK": SCRATCH + "/agent.sock", "RUNSOCK": "/run/%s/s" % token, "TMPSOCK": "/tmp/%s/s" % token}
        self.paths.update({"HOMESOCK": SCRATCH + "/desktop/docker.sock", "SESSIONBUS": SCRATCH + "/session/bus"})
        # By the services' own names, where nobody but this test can see them.
        named = {"DOCKER": "/run/docker.sock", "DBUS": "/run/dbus/system_bus_socket", "USERBUS": "/run/user/%d/bus" % os.getuid()}
        self.paths.update(named if os.environ.get("CADRE_ESCAPES_OWN_RUN") else dict.fromkeys(named))
        for name, path in list(self.paths.items()):
            if path is None:
                continue
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                self.serve(socket.AF_UNIX, socket.SOCK_STREAM, path)
            except OSError:
                self.paths[name] = None
        self.abstract = token
        self.serve(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + token)
        self.serve(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + token)
        self.abstract_bus = "/tmp/dbus-" + token
        self.serve(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract_bus)
        self.giver = SCRATCH + "/giver.sock"
        self.start(self.bind(socket.AF_UNIX, socket.SOCK_STREAM, self.giver), self.give)
        self.terminal, self.own_side = pty.openpty()
        tty.setraw(self.own_side)
        threading.Thread(target=self.listen_at_terminal, daemon=True).start()

    def bind(self, family, kind, address):
        s = socket.socket(family, kind)
        s.bind(address)
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        return s

    def start(self, s, how):
        threading.Thread(target=how, args=(s,), daemon=True).start()

    def give(self, s):
        """Hands a descriptor to whoever connects, and hears what is written to it."""
        while True:
            c, _ = s.accept()
            ours, theirs = os.pipe()
            socket.send_fds(c, [b"x"], [theirs])
            os.close(theirs)
            c.close()
            self.heard.append(os.read(ours, 4096))
            os.close(ours)

    def listen_at_terminal(self):
        while True:
            self.heard.append(os.read(self.terminal, 4096))

    def serve(self, family, kind, address):
        s = self.bind(family, kind, address)
        self.start(s, lambda s: self.listen(s, kind))
        return s.getsockname()[1] if family in (socket.AF_INET, socket.AF_INET6) else None

    def listen(self, s, kind):
        while True:
            if kind == socket.SOCK_DGRAM:
                self.heard.append(s.recv(4096))
                continue
            c, _ = s.accept()
            c.settimeout(2)
            try:
                self.heard.append(c.recv(4096))
            except OSError:
                pass
            c.close()

    def close(self):
        for path in self.paths.values():
            if path is not None and not path.startswith(SCRATCH) and path.startswith(("/run/cadre-", "/tmp/cadre-")):
                shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def git(folder, *args):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", folder, *args], check=True,
                   stdout=subprocess.DEVNULL)


class World:
    """A user's home, checkout and worktrees, for one runner and policy."""

    def __init__(self, runner, policy, listener):
        self.runner, self.policy, self.listener = runner, policy, listener
        base = "%s/%s-%s" % (SCRATCH, runner, policy)
        self.names = {"W": base + "/w", "HOME": base + "/home", "OTHER": base + "/other", "CHECKOUT": base + "/checkout",
                      "STATE": base + "/run", "OUT": base + "/out", "HELP": HELP, "TCP": listener.tcp, "UDP": listener.udp,
                      "TCP6": listener.tcp6, "ABSTRACT": listener.abstract, "POLICY": policy, "GIVER": listener.giver,
                      "ABSTRACTBUS": listener.abstract_bus, "TERMINAL": os.ttyname(listener.own_side),
                      "SYSVKEY": 0x5EC00000 + os.getpid() % 10000 * 16 + POLICIES.index(policy) * 4 + len(runner) % 4}
        self.names.update(listener.paths)
        n = self.names
        for file, text in {".bashrc": "# mine\n", ".ssh/authorized_keys": "mine\n", ".ssh/id_ed25519": "ssh-secret\n",
                           ".aws/credentials": "aws-secret\n", ".gnupg/secring": "gnupg-secret\n", ".netrc": "netrc-secret\n",
                           ".codex/auth.json": "auth-secret\n"}.items():
            write(n["HOME"] + "/" + file, text)
        write(n["STATE"] + "/journal.db", "journal-secret\n")
        for file in ("note", "gone-" + policy, "long-" + policy):
            write(n["OUT"] + "/" + file, "mine\n")
        write(base + "/fd", "fd-secret\n")
        write(n["CHECKOUT"] + "/readme", "hello\n")
        git(n["CHECKOUT"], "init", "-q")
        os.symlink("../out", n["CHECKOUT"] + "/committed-link")
        git(n["CHECKOUT"], "add", "-A")
        git(n["CHECKOUT"], "commit", "-qm", "Start")
        git(n["CHECKOUT"], "worktree", "add", "-q", n["W"])
        git(n["CHECKOUT"], "worktree", "add", "-q", n["OTHER"])
        os.mkfifo(n["W"] + "/a-fifo")
        n["SETUID"] = self.setuid_program(base + "/out/whoami")
        self.env = {"PATH": os.environ["PATH"], "HOME": n["HOME"], "CODEX_HOME": n["HOME"] + "/.codex", "LANG": "C.UTF-8",
                    "XDG_STATE_HOME": base + "/state", "SSH_AUTH_SOCK": listener.paths["SOCK"], "MOCK_KEY": "k",
                    "DBUS_SESSION_BUS_ADDRESS": "unix:path=%s,guid=00" % listener.paths["SESSIONBUS"],
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
        free = os.statvfs(base)
        limits = dict(LIMITS, min_free_disk_mb=max(0, free.f_bavail * free.f_frsize // (1 << 20) - 300))
        write(n["HOME"] + "/.codex/cadre.toml",
              "[limits]\n" + "".join("%s = %d\n" % i for i in limits.items()) +
              "[sandbox]\nhidden_paths = [%s]\n" % json.dumps(n["STATE"] + "/journal.db"))
        write(n["HOME"] + "/.codex/config.toml", "")
        self.fd = os.open(base + "/fd", os.O_RDONLY)
        self.victims = []
        self.began = time.monotonic()

    def setuid_program(self, path):
        """A copy of `id` that runs as nobody, whoever starts it; None where this user cannot make one."""
        shutil.copy("/usr/bin/id", path)
        try:
            os.chown(path, 65534, 65534)
        except OSError:
            return None
        os.chmod(path, 0o4755)
        return None if os.statvfs(path).f_flag & os.ST_NOSUID else path

    def victim(self):
        """A process of the same user, with secrets in its environment, arguments and descriptors."""
        v = subprocess.Popen(["victim-argument", "600"], executable="/bin/sleep", env={"KEY": "victim-secret"}, stdin=self.fd,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.names["OUT"], start_new_session=True)
        self.victims.append(v)
        return v

    def prepare(self, attempt, mark):
        """The attempt as it is run here, and what was before it."""
        trial = {"attempt": attempt, "mark": mark, "victim": None, "output": ""}
        names = dict(self.names, MARK=mark)
        if "@VICTIM@" in attempt["body"] or attempt["check"][0] == "dead":
            trial["victim"] = self.victim()
            names["VICTIM"] = trial["victim"].pid
        trial["impossible"] = any("@%s@" % n in attempt["body"] and names[n] is None for n in names)
        fill = lambda text: re.sub("@([A-Z0-9]+)@", lambda m: str(names[m.group(1)]), text)
        trial["command"] = fill(attempt["body"])
        trial["check"] = [fill(c) for c in attempt["check"]]
        if trial["check"][0] == "changed":
            trial["before"] = [state_of(p) for p in trial["check"][1:]]
        return trial

    def judge(self, trial):
        kind, args = trial["check"][0], trial["check"][1:]
        if kind == "file":
            reached = os.path.lexists(args[0])
        elif kind == "output":
            reached = args[0] in trial["output"]
        elif kind == "heard":
            time.sleep(0.05)
            reached = any(trial["mark"].encode() in h for h in list(self.listener.heard))
        elif kind == "alive":
            reached = lives(trial["mark"])
        elif kind == "hang":
            reached = trial["output"] == "timed out"
        elif kind == "dead":
            reached = trial["victim"].poll() is not None
        elif kind == "sysv":
            libc = ctypes.CDLL(None)
            segment = libc.shmget(self.names["SYSVKEY"], 0, 0)
            reached = segment >= 0
            if reached:
                libc.shmctl(segment, 0, None)
        else:
            reached = [state_of(p) for p in args] != trial["before"]
        return "through" if reached else "held"

    def close(self):
        for v in self.victims:
            v.kill()
            v.wait()
        os.close(self.fd)


def state_of(path):
    """What can be told of a file or folder from outside."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            return ["folder"] + [(r, [(f, state_of(r + "/" + f)) for f in sorted(files)]) for r, _, files in sorted(os.walk(path))]
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        return e.errno


def lives(mark):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if f.read().startswith(mark.encode()):
                    return True
        except OSError:
            pass
    return False


def run_program(world, trial, argv):
    try:
        done = subprocess.run(argv, cwd=world.names["W"], env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS, pass_fds=[world.fd])
        trial["output"] = done.stdout[:1 << 20].decode(errors="replace")
    except subprocess.TimeoutExpired:
        trial["output"] = "timed out"


def by_programs(world, attempts, argv_of):
    outcomes = {}
    for i, attempt in enumerate(attempts):
        if attempt["patch"] or attempt["expect"][world.policy] == "-":
            continue
        if world.runner == "codex" and not os.environ.get("CADRE_ESCAPES_ALL") and time.monotonic() - world.began > CODEX_SECONDS:
            print("# codex, %s: stopped before %s; `make escapes` runs all" % (world.policy, attempt["id"]))
            break
        trial = world.prepare(attempt, "esc%s%s%03d" % (world.runner, world.policy[0], i))
        if not trial["impossible"]:
            began = time.monotonic()
            run_program(world, trial, argv_of(trial["command"]))
            if time.monotonic() - began > 5:
                print("# %s %s %s: %.0f s" % (world.runner, world.policy, attempt["id"], time.monotonic() - began))
            if attempt["check"][0] == "alive":
                time.sleep(0.1)
            outcomes[attempt["id"]] = world.judge(trial)
            tidy(world, trial["mark"])
    return outcomes


def by_sandbox(world, attempts):
    return by_programs(world, attempts, lambda c: [CADRE, "sandbox", "--mode", world.policy, "--", "/bin/bash", "-c", c])


def by_codex(world, attempts):
    return by_programs(world, attempts, lambda c: [CODEX, "sandbox", "-c", "sandbox_mode=" + json.dumps(world.policy), "--",
                                                   "/bin/bash", "-c", c])


def by_agent(world, attempts):
    """All in one session, a turn each: what one leaves behind is there for the next."""
    trials, rules = [], []
    for i, attempt in enumerate(attempts):
        if attempt["expect"][world.policy] == "-":
            continue
        trial = world.prepare(attempt, "esc%s%s%03d" % (world.runner, world.policy[0], i))
        if trial["impossible"]:
            continue
        if attempt["patch"]:
            call = {"name": "apply_patch", "input": trial["command"].partition("\n")[2] + "\n"}
        else:
            call = {"name": "exec_command", "arguments": {"cmd": trial["command"], "yield_time_ms": 30000,
                                                          "max_output_tokens": 2000, "login": False}}
        rules.append({"match": {"turn": len(trials)}, "reply": {"tool_calls": [call]}})
        trials.append(trial)
    base = os.path.dirname(world.names["W"])
    write(base + "/script.json", json.dumps({"rules": rules + [{"match": {}, "reply": {"message": "Done."}}]}))
    mock = subprocess.Popen([CADRE, "mock", "--script", base + "/script.json"], stdout=subprocess.PIPE, env=world.env, text=True)
    url = mock.stdout.readline().strip().split("listening on ")[-1]
    write(world.names["HOME"] + "/.codex/config.toml",
          'model = "m"\nmodel_provider = "mock"\napproval_policy = "never"\n[model_providers.mock]\nname = "Mock"\nbase_url = "%s"\n'
          'wire_api = "responses"\nenv_key = "MOCK_KEY"\n' % url)
    done = subprocess.run([CADRE, "exec", "--json", "-c", "sandbox_mode=" + json.dumps(world.policy), "go"],
                          cwd=world.names["W"], env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=600, pass_fds=[world.fd])
    mock.kill()
    mock.wait()
    for line in done.stdout.decode(errors="replace").splitlines():
        item = json.loads(line).get("item") or {}
        for trial in trials:
            if item.get("type") == "command_execution" and item.get("command") == trial["command"] or \
                    trial["mark"] in json.dumps(item.get("arguments") or item.get("command") or ""):
                trial["output"] += str(item.get("aggregated_output") or item.get("output") or "")
    outcomes = {}
    if done.returncode != 0:
        print("# the session with %s ended with %d: %s" % (world.policy, done.returncode, done.stderr.decode()[-500:]))
        return outcomes
    time.sleep(0.2)
    for trial in trials:
        outcomes[trial["attempt"]["id"]] = world.judge(trial)
        tidy(world, trial["mark"])
    return outcomes


def tidy(world, mark):
    """Kills what lives on, and removes what was left in shared folders."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if f.read().startswith(mark.encode()):
                    os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass
    for folder in (world.names["W"], "/tmp", "/dev/shm"):
        for name in os.listdir(folder):
            if mark in name:
                path = folder + "/" + name
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def main():
    attempts = parse(SOURCE + "/tests/data/escapes.txt")
    only = set(sys.argv[1:])
    if only:
        attempts = [a for a in attempts if a["id"] in only]
    listener = Listener()
    pattern = open("/proc/sys/kernel/core_pattern").read()
    runners = {"sandbox": by_sandbox, "agent": by_agent}
    if CODEX:
        runners["codex"] = by_codex
    results, lock = {}, threading.Lock()
    skipped = ["danger-full-access"] if os.environ.get("CADRE_ESCAPES_ALL") else ["danger-full-access", "read-only"]
    work = [(r, p) for r in sorted(runners, reverse=True) for p in POLICIES if not (r == "codex" and p in skipped)]
    work.sort(key=lambda w: w[0] != "codex")  # the slowest first

    def worker():
        while True:
            with lock:
                if not work:
                    return
                runner, policy = work.pop(0)
            world = World(runner, policy, listener)
            began = time.monotonic()
            try:
                results[runner, policy] = runners[runner](world, attempts)
            except Exception as e:  # a broken world is a failed test, not an end without a word
                print("# %s %s: %r" % (runner, policy, e))
                results[runner, policy] = {}
            world.close()
            print("# %s, %s: %.0f s" % (runner, policy, time.monotonic() - began))

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    listener.close()
    if open("/proc/sys/kernel/core_pattern").read() != pattern:
        open("/proc/sys/kernel/core_pattern", "w").write(pattern)
        print("# one of them has changed the machine's core_pattern; it is as before")
    report(attempts, runners, results)


def report(attempts, runners, results):
    count = 0
    lines = ["| attempt | what it does | policy | expected | " + " | ".join(runners) + " |", "|" + "---|" * (4 + len(runners))]
    totals = {}
    for attempt in attempts:
        for policy in POLICIES:
            expected = attempt["expect"][policy]
            row = []
            for runner in runners:
                got = results.get((runner, policy), {}).get(attempt["id"], "-")
                row.append(got if got in (expected, "-") or expected == "any" else "**%s**" % got)
                if expected == "held" and got != "-":
                    held = totals.setdefault((runner, policy), [0, 0])
                    held[0] += got == "held"
                    held[1] += 1
            lines.append("| %s | %s | %s | %s | %s |" % (attempt["id"], attempt["what"], policy, expected, " | ".join(row)))
        for runner in ("agent",) if attempt["patch"] else ("sandbox", "agent"):
            wrong, judged = [], 0
            for policy in POLICIES:
                expected = attempt["expect"][policy]
                got = results.get((runner, policy), {}).get(attempt["id"])
                judged += expected not in ("-", "any") and got is not None
                if expected not in ("-", "any") and got is not None and got != expected:
                    wrong.append("%s: %s, expected %s" % (policy, got, expected))
                if expected not in ("-", "any") and not results.get((runner, policy)):
                    wrong.append("%s: not run" % policy)
            count += 1
            for w in wrong:
                print("# " + w)
            skip = "" if judged or wrong else " # SKIP " + (
                "a patch is for an agent" if attempt["patch"] else "what it needs cannot be had here")
            print("%s %d - %s_by_%s%s" % ("not ok" if wrong else "ok", count, attempt["id"], runner, skip))
    print("1..%d" % count)
    summary = ["%s, %s: %d of %d attempts held" % (r, p, h[0], h[1]) for (r, p), h in sorted(totals.items())]
    for s in summary:
        print("# " + s)
    if os.environ.get("CADRE_ESCAPES_REPORT"):
        write(os.path.abspath(os.environ["CADRE_ESCAPES_REPORT"]),
              "# Attempts to get out of the box\n\nBold: not as expected. `-`: not run by this one.\n\n" +
              "\n".join("- " + s for s in summary) + "\n\n" + "\n".join(lines) + "\n")


main()
