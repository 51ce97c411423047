"""A real SMTP server on 127.0.0.1 whose replies a test writes.

    with ScriptedSMTPServer() as server:
        server.reply("RCPT", "bad@example.org", "550 5.1.1 No such user")   # by recipient
        server.reply("MAIL", "", "451 4.3.0 Later", times=2)                # by count
        server.on("BODY", DROP, nth=3)                                      # the third message: line dropped
        ... send to server.port ...
        assert server.messages[0].rcpt_tos == ["ann@example.org"]

Commands that a rule can name: CONNECT (the greeting), EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA (the command),
BODY (the end of the message), RSET, NOOP, QUIT. A reply of 421 also closes the connection.
"""

import base64
import hashlib
import hmac
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import Enum
from pathlib import Path

import pytest


class Action(Enum):
    DROP = "close the connection without a word"
    HANG = "say nothing until the server stops, or until release()"
    TAKE_AND_DROP = "keep the message (BODY only), then close the connection before the reply"


DROP, HANG, TAKE_AND_DROP = Action.DROP, Action.HANG, Action.TAKE_AND_DROP
EXTENSIONS = ("PIPELINING", "SIZE 33554432", "8BITMIME", "SMTPUTF8")


@dataclass(frozen=True)
class Received:
    """A message as it came: `data` is the bytes between DATA and the dot, dots unstuffed."""

    mail_from: str
    rcpt_tos: list[str]
    data: bytes
    connection: int
    mail_options: list[str] = field(default_factory=list)
    tls: bool = False
    user: str = ""

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.data, policy=policy.default)  # type: ignore[return-value]


@dataclass
class _Rule:
    command: str
    match: str
    action: "str | Action | Callable[[str], str | Action | None]"
    times: int | None
    nth: int | None
    seen: int = 0

    def applies(self, argument: str) -> bool:
        if self.match.lower() not in argument.lower():
            return False
        self.seen += 1
        if self.nth is not None:
            return self.seen == self.nth
        return self.times is None or self.seen <= self.times


class ScriptedSMTPServer:
    """Listens from `with` on. `username` makes it ask for AUTH; `tls=True` makes it offer STARTTLS,
    `implicit_tls=True` speaks TLS from the first byte. `certificate` is the PEM file that clients must trust
    (set SSL_CERT_FILE to it)."""

    def __init__(
        self,
        *,
        extensions: Iterable[str] = EXTENSIONS,
        username: str = "",
        password: str = "",
        tls: bool = False,
        implicit_tls: bool = False,
        hostname: str = "localhost",
    ) -> None:
        self.extensions = list(extensions)
        self.username, self.password = username, password
        self.tls, self.implicit_tls = tls, implicit_tls
        self.hostname = hostname
        self.host = "127.0.0.1"
        self.port = 0
        self.messages: list[Received] = []
        self.commands: list[tuple[int, str]] = []  # (connection number, line), AUTH secrets left out
        self.connections = 0  # accepted so far; connection numbers count from 1
        self.open_connections = 0
        self.most_open_connections = 0
        self._rules: list[_Rule] = []
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._directory = ""

    # What the test says

    def reply(self, command: str, match: str, text: str, *, times: int | None = None, nth: int | None = None) -> None:
        """Answer `command` with `text` where its argument contains `match` ("" for any): always, the first
        `times`, or the `nth` one only. Rules are tried in the order they were made. BODY matches recipients."""
        self.on(command, text, match=match, times=times, nth=nth)

    def on(
        self,
        command: str,
        action: "str | Action | Callable[[str], str | Action | None]",
        *,
        match: str = "",
        times: int | None = None,
        nth: int | None = None,
    ) -> None:
        """As `reply`, with DROP, HANG, TAKE_AND_DROP or a function of the argument that returns a reply, one of
        these, or None for the usual answer. The function runs in the connection's thread."""
        with self._lock:
            self._rules.append(_Rule(command.upper(), match, action, times, nth))

    def forget_rules(self) -> None:
        with self._lock:
            self._rules.clear()

    def release(self) -> None:
        """End every HANG (also those to come) by closing its connection."""
        self._released.set()

    def drop_connections(self) -> None:
        """Close every open connection now, as a relay does that restarts."""
        with self._lock:
            for connection in list(self._sockets):
                _close(connection)

    def recipients(self) -> list[str]:
        """Every recipient of every message taken, in order, repeats included."""
        return [address for message in self.messages for address in message.rcpt_tos]

    def count(self, command: str) -> int:
        """How often a command came, on all connections."""
        return Counter(line.split(" ")[0].upper() for _, line in self.commands)[command.upper()]

    @property
    def certificate(self) -> str:
        """Path of the server's self-made certificate for localhost and 127.0.0.1; made when first asked for."""
        with self._lock:
            if not self._directory:
                self._directory = tempfile.mkdtemp(prefix="dbmail-smtp-")
                _make_certificate(Path(self._directory))
            return str(Path(self._directory) / "cert.pem")

    # The server

    def __enter__(self) -> "ScriptedSMTPServer":
        self._listener = socket.create_server((self.host, self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
        if self._listener is not None:
            _close(self._listener)
        self.drop_connections()
        for thread in self._threads:
            thread.join(timeout=5)
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open_connections += 1
                self.most_open_connections = max(self.most_open_connections, self.open_connections)
                self._sockets.add(connection)
                number = self.connections
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        session = _Session(self, connection, number)
        try:
            session.run()
        except (OSError, ValueError):
            pass  # the client went away, or the test closed the line
        finally:
            with self._lock:
                self.open_connections -= 1
                self._sockets.discard(connection)
                self._sockets.discard(session.socket)
            _close(session.socket)
            _close(connection)

    def _decide(self, command: str, argument: str) -> "str | Action | None":
        with self._lock:
            rules = list(self._rules)
        for rule in rules:
            with self._lock:
                applies = rule.command == command and rule.applies(argument)
            if applies:  # without the lock: other connections go on while a test's function runs
                decision = rule.action(argument) if callable(rule.action) else rule.action
                if decision is not None:
                    return decision
        return None

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self.certificate
        context.load_cert_chain(certificate, str(Path(certificate).parent / "key.pem"))
        return context


class _Gone(OSError):
    pass


class _Session:
    def __init__(self, server: ScriptedSMTPServer, connection: socket.socket, number: int) -> None:
        self.server, self.socket, self.number = server, connection, number
        self.tls = False
        self.user = ""
        self.mail_from: str | None = None
        self.mail_options: list[str] = []
        self.rcpt_tos: list[str] = []
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        if self.server.implicit_tls:
            self._wrap()
        self.file = self.socket.makefile("rb")
        if not self.answer("CONNECT", "", f"220 {self.server.hostname} ESMTP scripted").startswith("2"):
            return
        while line := self.file.readline():
            text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            verb, _, argument = text.partition(" ")
            verb = verb.upper()
            with self.server._lock:
                self.server.commands.append((self.number, "AUTH ..." if verb == "AUTH" else text))
            command = getattr(self, f"do_{verb.lower()}", None)
            if command is None:
                self.say("500 5.5.1 Unknown command")
            else:
                command(argument)
            if verb == "QUIT":
                return

    def say(self, reply: str) -> str:
        self.socket.sendall(reply.replace("\n", "\r\n").encode() + b"\r\n")
        if reply.startswith("421"):
            raise _Gone("421")
        return reply

    def answer(self, command: str, argument: str, usual: str) -> str:
        """Say what the rules want, else the usual; the reply that was said."""
        decision = self.server._decide(command, argument)
        if isinstance(decision, Action):
            self.act(decision)
        return self.say(decision if isinstance(decision, str) else usual)

    def act(self, action: Action) -> None:
        if action is HANG:
            self.server._released.wait()
        raise _Gone(action.name)

    def reset(self) -> None:
        self.mail_from, self.mail_options, self.rcpt_tos = None, [], []

    def do_ehlo(self, argument: str) -> None:
        self.reset()
        offers = list(self.server.extensions)
        if self.server.tls and not self.tls:
            offers.append("STARTTLS")
        if self.server.username:
            offers.append("AUTH PLAIN LOGIN CRAM-MD5")
        lines = [self.server.hostname, *offers]
        self.answer(
            "EHLO", argument, "\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{x}" for n, x in enumerate(lines))
        )

    def do_helo(self, argument: str) -> None:
        self.reset()
        self.answer("HELO", argument, f"250 {self.server.hostname}")

    def do_noop(self, argument: str) -> None:
        self.answer("NOOP", argument, "250 2.0.0 OK")

    def do_rset(self, argument: str) -> None:
        self.reset()
        self.answer("RSET", argument, "250 2.0.0 OK")

    def do_quit(self, argument: str) -> None:
        self.answer("QUIT", argument, "221 2.0.0 Bye")

    def do_starttls(self, argument: str) -> None:
        if self.answer("STARTTLS", argument, "220 2.0.0 Go ahead").startswith("2"):
            self._wrap()
            self.file = self.socket.makefile("rb")
            self.reset()

    def _wrap(self) -> None:
        wrapped = self.server._context().wrap_socket(self.socket, server_side=True)
        with self.server._lock:
            self.server._sockets.add(wrapped)
        self.socket, self.tls = wrapped, True

    def do_auth(self, argument: str) -> None:
        method, _, first = argument.partition(" ")
        right = {"PLAIN": self._plain, "LOGIN": self._login, "CRAM-MD5": self._cram}[method.upper()](first)
        usual = "235 2.7.0 Welcome" if right else "535 5.7.8 Wrong user or password"
        if self.answer("AUTH", method, usual).startswith("2"):
            self.user = self.server.username

    def _ask(self, challenge: bytes) -> bytes:
        self.say("334 " + base64.b64encode(challenge).decode())
        return base64.b64decode(self.file.readline())

    def _plain(self, first: str) -> bool:
        given = base64.b64decode(first) if first else self._ask(b"")
        return given == f"\0{self.server.username}\0{self.server.password}".encode()

    def _login(self, first: str) -> bool:
        user = base64.b64decode(first) if first else self._ask(b"User Name")
        return (user, self._ask(b"Password")) == (self.server.username.encode(), self.server.password.encode())

    def _cram(self, _: str) -> bool:
        challenge = b"<" + os.urandom(8).hex().encode() + b"@localhost>"
        user, _, digest = self._ask(challenge).partition(b" ")
        right = hmac.new(self.server.password.encode(), challenge, hashlib.md5).hexdigest().encode()
        return user == self.server.username.encode() and hmac.compare_digest(digest, right)

    def do_mail(self, argument: str) -> None:
        if self.server.username and not self.user:
            self.say("530 5.7.0 Authentication required")
            return
        address, options = _path(argument)
        if self.answer("MAIL", argument, "250 2.1.0 OK").startswith("2"):
            self.mail_from, self.mail_options, self.rcpt_tos = address, options, []

    def do_rcpt(self, argument: str) -> None:
        if self.mail_from is None:
            self.say("503 5.5.1 MAIL first")
            return
        address, _ = _path(argument)
        if self.answer("RCPT", argument, "250 2.1.5 OK").startswith("2"):
            self.rcpt_tos.append(address)

    def do_data(self, argument: str) -> None:
        if not self.rcpt_tos:
            self.say("503 5.5.1 RCPT first")
            return
        if not self.answer("DATA", argument, "354 Go ahead").startswith("3"):
            return
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise _Gone("the client left in the middle of a message")
            lines.append(line[1:] if line.startswith(b".") else line)
        assert self.mail_from is not None
        received = Received(
            self.mail_from, self.rcpt_tos, b"".join(lines), self.number, self.mail_options, self.tls, self.user
        )
        self.reset()
        decision = self.server._decide("BODY", " ".join(received.rcpt_tos)) or "250 2.0.0 Taken"
        # Kept before the reply: a client that dies in between has sent it.
        if decision is TAKE_AND_DROP or (isinstance(decision, str) and decision.startswith("2")):
            with self.server._lock:
                self.server.messages.append(received)
        if isinstance(decision, Action):
            self.act(decision)
        else:
            self.say(decision)


def _path(argument: str) -> tuple[str, list[str]]:
    """The address in `FROM:<a@b> SIZE=1 SMTPUTF8`, and the options after it."""
    _, _, rest = argument.partition(":")
    path, _, options = rest.strip().partition(">")
    return path.lstrip("<").strip(), options.split()


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()


def _make_certificate(directory: Path) -> None:
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")]
    subprocess.run([*words.split(), *names, *files], check=True, capture_output=True)  # noqa: S603 - fixed words


@pytest.fixture
def smtp_server() -> Iterator[ScriptedSMTPServer]:
    """A server that takes everything until the test says otherwise."""
    with ScriptedSMTPServer() as server:
        yield server
