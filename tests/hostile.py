"""A relay that says what it likes, byte for byte, and keeps book of what a server would take for commands and what for
the text of mails.

    with HostileRelay([Turn(), Turn(b"250 2.0.0 What mail?\r\n")]) as relay:
        ... send to relay.port ...
        assert relay.commands == [b"ehlo x", b"MAIL FROM:<a@example.org>"]

The first connection is answered turn by turn: the greeting, then each command or end of a mail, in the order in which
they come. Where the turns are used up, and on every later connection, the usual is said.
"""

import select
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Turn:
    """`reply`: instead of the usual one, None for that. `ahead`: said right after it, unasked. `cuts`: where the
    reply is cut into pieces that are sent one by one. `close`: the connection, after that. `endless`: said again and
    again, each time after a `pause` of so many seconds, until the client goes."""

    reply: bytes | None = None
    ahead: bytes = b""
    cuts: tuple[int, ...] = ()
    close: bool = False
    endless: bytes = b""
    pause: float = 0


@dataclass(frozen=True)
class Text:
    """What came between DATA and a lone dot, dots unstuffed, and what was said to it."""

    data: bytes
    reply: bytes
    connection: int


@dataclass
class HostileRelay:
    turns: Iterable[Turn] = ()
    pipelining: bool = True
    offers: tuple[bytes, ...] = ()
    #: Said in the middle of the first text, which is read on.
    early: bytes = b""
    commands: list[bytes] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    #: What was left of a text when its connection ended.
    rests: list[bytes] = field(default_factory=list)
    connections: int = 0
    host: str = "127.0.0.1"

    def __enter__(self) -> "HostileRelay":
        self._listener = socket.create_server((self.host, 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def taken(self) -> list[bytes]:
        """The texts that were answered with 2xx."""
        return [text.data for text in self.texts if text.reply.startswith(b"2")]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            self.connections += 1
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        conversation = _Conversation(self, sock, number)
        with sock, suppress(OSError):
            conversation.run()
        if conversation.in_text:
            self.rests.append(conversation.buffer)


class _Conversation:
    def __init__(self, relay: HostileRelay, sock: socket.socket, number: int) -> None:
        self.relay, self.sock, self.number = relay, sock, number
        self.turns = iter(relay.turns if number == 1 else ())
        self.buffer = b""
        self.in_text = self.closed = False
        self.said: list[tuple[bytes, Turn]] = []

    def run(self) -> None:
        self.say(b"220 relay ESMTP\r\n")
        self.flush()
        while not self.closed and (data := self.sock.recv(65536)):
            self.buffer += data
            if self.in_text and len(self.buffer) > 100_000:
                early, self.relay.early = self.relay.early, b""
                self.sock.sendall(early)
                if b"\r\n.\r\n" not in data[-5:]:
                    continue
            while not self.closed and self.step():
                pass
            self.flush()

    def step(self) -> bool:
        """Take one command or text out of what came; False if there is none whole."""
        if self.in_text:
            text, end, rest = (b"\r\n" + self.buffer).partition(b"\r\n.\r\n")
            if end:
                self.buffer, self.in_text = rest, False
                unstuffed = text.replace(b"\r\n.", b"\r\n")[2:]
                reply = self.say(b"250 2.0.0 Taken\r\n")
                self.relay.texts.append(Text(unstuffed + b"\r\n" if unstuffed else b"", reply, self.number))
            return bool(end)
        line, end, rest = self.buffer.partition(b"\r\n")
        if end:
            self.buffer = rest
            self.relay.commands.append(line)
            verb = line[:4].upper()
            reply = self.say(self.usual(verb))
            self.in_text = verb == b"DATA" and reply.startswith(b"354")
            self.closed = self.closed or verb == b"QUIT"
        return bool(end)

    def usual(self, verb: bytes) -> bytes:
        if verb == b"EHLO":
            offers = [b"relay", *self.relay.offers, *([b"PIPELINING"] if self.relay.pipelining else [])]
            return b"".join(b"250-%s\r\n" % offer for offer in offers) + b"250 HELP\r\n"
        usual = {b"DATA": b"354 Go ahead\r\n", b"QUIT": b"221 Bye\r\n", b"AUTH": b"235 Welcome\r\n"}
        known = (b"MAIL", b"RCPT", b"RSET", b"HELO")
        return usual.get(verb, b"250 OK\r\n" if verb in known else b"500 Unknown\r\n")

    def say(self, usual: bytes) -> bytes:
        turn = next(self.turns, Turn())
        reply = usual if turn.reply is None else turn.reply
        self.said.append((reply, turn))
        self.closed = turn.close
        return reply

    def flush(self) -> None:
        """Replies to what came together go together, as a server that pipelines sends them. What is said ahead goes
        with the last byte of what was asked for: were it later, it could not be told from an answer."""
        out, cuts, ahead = b"", [], None
        for reply, turn in self.said:
            cuts += [len(out) + cut for cut in turn.cuts if cut < len(reply)]
            ahead = len(out) + len(reply) if turn.ahead and ahead is None else ahead
            out += reply + turn.ahead
            if turn.endless:
                self.sock.sendall(out)
                while not select.select([self.sock], [], [], turn.pause)[0]:
                    self.sock.sendall(turn.endless)
        self.said = []
        start = 0
        for cut in [*(cut for cut in cuts if cut and (ahead is None or cut < ahead)), len(out)]:
            self.sock.sendall(out[start:cut])
            start = cut
