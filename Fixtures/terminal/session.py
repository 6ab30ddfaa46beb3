"""What a person does with kubectl in a terminal: exec, attach, cp, port-forward and logs -f.

usage: session.py KUBECTL    (the pod `terminal` runs: a shell with a terminal, and a container `ticker`)

Every step prints its name once what it waits for was seen; the first that fails ends the run with what was seen."""

import fcntl, os, pty, select, signal, socket, struct, subprocess, sys, tempfile, termios, time

KUBECTL = sys.argv[1]
PATIENCE = 30


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *words, rows=24, columns=80):
        self.words, self.seen = words, b""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            # The size is there before the program asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(words[0], words)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def type(self, text):
        os.write(self.file, text.encode())

    def read(self, seconds):
        if not select.select([self.file], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.file, 65536)
        except OSError:  # the other side has ended
            piece = b""
        self.seen += piece
        return bool(piece)

    def expect(self, text, again=None):
        """Waits for the text, after what was expected before; `again` is typed until it comes."""
        end = time.monotonic() + PATIENCE
        while text.encode() not in self.seen:
            if time.monotonic() > end or not self.read(0.5):
                raise SystemExit(f"{' '.join(self.words)}: no {text!r} in {self.seen.decode(errors='replace')!r}")
            if again and text.encode() not in self.seen:
                self.type(again)
        self.seen = self.seen.split(text.encode(), 1)[1]

    def end(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise SystemExit(f"{' '.join(self.words)}: does not end; {self.seen.decode(errors='replace')!r}")


def check(what, right, seen=""):
    if not right:
        raise SystemExit(f"{what}: {seen}")
    print(what, flush=True)


def run(*words, **more):
    return subprocess.run([KUBECTL, *words], capture_output=True, timeout=60, **more)


def exec_():
    terminal = Terminal(KUBECTL, "exec", "-it", "terminal", "-c", "shell", "--", "sh", rows=27, columns=91)
    terminal.type("stty size; tty\r")
    terminal.expect("27 91")
    terminal.expect("/dev/pts/")
    terminal.resize(33, 101)
    terminal.expect("33 101", again="stty size\r")
    # A key that interrupts reaches the program, not kubectl.
    terminal.type("sleep 1000; echo code=$((40+$?))\r")
    time.sleep(1)
    terminal.type("\x03")
    terminal.type("echo al''ive\r")
    terminal.expect("alive")
    terminal.type("exit 9\r")
    check("exec", terminal.end() == 9)


def attach():
    terminal = Terminal(KUBECTL, "attach", "-it", "terminal", "-c", "shell", rows=30, columns=70)
    terminal.expect("30 70", again="stty size\r")
    terminal.resize(41, 111)
    terminal.expect("41 111", again="stty size\r")
    terminal.type("echo once$((1+1))\r")
    terminal.expect("once2")
    # Whoever comes later sees the same shell.
    terminal.type("mark=kept; echo marked$((1+1))\r")
    terminal.expect("marked2")
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    second = Terminal(KUBECTL, "attach", "-it", "terminal", "-c", "shell", rows=20, columns=60)
    second.expect("mark=kept.", again="echo mark=$mark.\r")
    second.expect("20 60", again="stty size\r")
    os.kill(second.pid, signal.SIGKILL)
    os.waitpid(second.pid, 0)
    check("attach", True)


def cp():
    with tempfile.TemporaryDirectory() as here:
        data = os.urandom(2_000_000)
        os.makedirs(f"{here}/there/deep")
        for name in ("file", "deep/other"):
            with open(f"{here}/there/{name}", "wb") as file:
                file.write(data)
        went = run("cp", "-c", "shell", f"{here}/there", "terminal:/tmp/copied")
        came = run("cp", "-c", "shell", "terminal:/tmp/copied", f"{here}/back")
        check("cp", went.returncode == 0 == came.returncode, (went, came))
        for name in ("file", "deep/other"):
            with open(f"{here}/back/{name}", "rb") as file:
                check(f"cp {name}", file.read() == data)


def port_forward():
    forward = Terminal(KUBECTL, "port-forward", "pod/terminal", ":8080")
    forward.expect("Forwarding from 127.0.0.1:")
    while b" -> " not in forward.seen and forward.read(1):
        pass
    port = int(forward.seen.split(b" -> ")[0])
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as server:
            server.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: server.recv(65536), b""))
        check("port-forward", answer.endswith(b"welcome\n"), answer)
    forward.type("\x03")
    forward.end()


def logs():
    follow = Terminal(KUBECTL, "logs", "-f", "--tail=1", "terminal", "-c", "ticker")
    follow.expect("tick ")
    # What is printed from now on comes as well.
    number = int(run("exec", "terminal", "-c", "ticker", "--", "cat", "/tmp/count").stdout or 0)
    for next_one in range(number + 2, number + 5):
        follow.expect(f"tick {next_one}\r\n")
    stopped = run("exec", "terminal", "-c", "ticker", "--", "sh", "-c", ": >/tmp/stop")
    check("stop", stopped.returncode == 0, stopped)
    follow.expect("the end")
    check("logs -f", follow.end() == 0)


for step in (exec_, attach, cp, port_forward, logs):
    step()
