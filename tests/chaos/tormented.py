"""What chaos tests torment: a PostgreSQL of their own, and a proxy that cuts connections.

Only processes started here are signalled.
"""

import contextlib
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]
import psycopg2

import servers


class OwnPostgres:
    """A PostgreSQL server that can be stopped, started and frozen."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process, self._administrator = servers._start_postgres(directory)
        # What is acknowledged must survive the server's end; the test servers' settings do without.
        settings = [*(f"--{name}=on" for name in servers.HASTE if name != "fsync"), "--logging_collector=on"]
        self._command = [*map(str, self._process.args), *settings]  # type: ignore[arg-type]
        self._database = "postgres"
        self._wait()
        self.stop()
        self.start()

    @property
    def url(self) -> str:
        """URL of the database that was made last."""
        return self._administrator.set(database=self._database).render_as_string(hide_password=False)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        assert self._administrator.port is not None
        return self._administrator.port

    def new_database(self) -> None:
        """Make an empty database; `url` is its from now on."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        self._database = name

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = servers._popen(self._command, self._directory)
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; SIGINT sends its clients away, SIGQUIT does not even finish."""
        self._process.send_signal(how)
        self._process.wait(servers.STOP_SECONDS)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes where they are, for the block."""
        processes = [psutil.Process(self._process.pid)]
        processes += processes[0].children()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _wait(self) -> None:
        deadline = time.monotonic() + servers.START_SECONDS
        while not servers._answers(self._administrator):
            assert self._process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def _execute(self, statement: str) -> None:
        url = self._administrator.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg2.connect(url)
        try:
            connection.autocommit = True  # databases are not made in transactions
            connection.cursor().execute(statement)
        finally:
            connection.close()


class CuttingProxy:
    """Hands on what clients send to a port of 127.0.0.1, and cuts the first connections after so many bytes."""

    def __init__(self, port: int, *, after_bytes: int, cuts: int) -> None:
        self._port = port
        self._after_bytes = after_bytes
        self._cuts_left = cuts
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for one in self._sockets:
            _end(one)  # closing alone would not wake the threads that wait for it
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += (client, server)
                self._start(self._hand_on, client, server, True)
                self._start(self._hand_on, server, client, False)

    def _hand_on(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                target.sendall(data)
                passed += len(data)
                if is_request and self._cuts_left and passed >= self._after_bytes:
                    self._cuts_left -= 1
                    self.cuts += 1
                    break
        _end(source)
        _end(target)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
