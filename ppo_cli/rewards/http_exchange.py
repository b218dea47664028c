"""One request to a service within a fixed time, from the look-up of its name to the last byte of its reply.

The timeouts of an HTTP client hold for each read from the connection, so a service that sends one byte after the other
would never run into them. Here the exchange runs in a thread of its own; when the time is over, its connection is shut
down and the thread ends.

Not here: what is sent, what a reply means, further tries (`http_service`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result")

TraceHandler = Callable[[str, Mapping[str, Any]], None]
"""What an HTTP client calls with each step of an exchange, as its extension `trace`."""


class ExchangeTimeoutError(Exception):
    """The exchange was not complete in time."""

    def __init__(self, *, connected: bool) -> None:
        super().__init__("no complete reply" if connected else "no connection")
        self.connected = connected


def within(seconds: float, exchange: Callable[[TraceHandler], Result]) -> Result:
    """The result of an exchange.

    Args:
        seconds: that it may take.
        exchange: makes the request and reads the reply; called with the handler that the client must trace to.

    Raises:
        ExchangeTimeoutError: it took longer.
        Exception: what the exchange raised.
    """
    connection = _Connection()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(exchange(connection.trace))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, name="reward-service", daemon=True)
    thread.start()
    is_late = True  # also after Ctrl-C
    try:
        thread.join(seconds)
        is_late = thread.is_alive()
    finally:
        if is_late:
            connection.shut_down()
    if results:
        return results[0]
    if errors and not is_late:  # a late error comes from the shut-down
        raise errors[0]
    raise ExchangeTimeoutError(connected=connection.is_open)


class _Connection:
    """The connection of an exchange, as soon as there is one."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._is_over = False

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    def trace(self, step: str, details: Mapping[str, Any]) -> None:
        """Keeps the stream of the connection; of a connection with TLS the later one."""
        if step.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = details["return_value"]
            if self._is_over:
                self.shut_down()

    def shut_down(self) -> None:
        """Ends every read and write of the exchange."""
        self._is_over = True
        if self._stream is not None and isinstance(opened := self._stream.get_extra_info("socket"), socket.socket):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
