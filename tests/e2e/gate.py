"""A gate in front of a server: connections pass while it is open; shut, the server is away."""

import socket
import threading
from contextlib import suppress


class Gate:
    """Listens on `port` of 127.0.0.1 and passes everything on to `host` and `server_port`."""

    def __init__(self, host: str, server_port: int) -> None:
        self.server = (host, server_port)
        self.port = 0
        self._listener: socket.socket | None = None
        self._passing: set[socket.socket] = set()

    def __enter__(self) -> "Gate":
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shut()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Break every connection; new ones are refused."""
        listener, self._listener = self._listener, None
        for connection in [listener, *self._passing]:
            if connection is not None:
                _close(connection)
        self._passing.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self.server)
                self._passing |= {client, server}
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for connection in (source, sink):
            _close(connection)
            self._passing.discard(connection)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()
