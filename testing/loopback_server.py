"""An HTTP server on a loopback port, in a thread of its own: what every server of this package runs on."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_POLL = 0.02
"""Seconds until it sees that it should stop."""


class LoopbackServer(ThreadingHTTPServer):
    """Listens once it is made, and answers once it was started.

    Give it the handler by :attr:`RequestHandlerClass` before, if the handler must know the port.
    """

    daemon_threads = (
        True  # a connection that a test keeps open must not keep the test program alive
    )

    def __init__(
        self, handler: type[BaseHTTPRequestHandler] = BaseHTTPRequestHandler, *, port: int = 0
    ) -> None:
        """Listen on ``port``; on a free one if it is 0.

        Raises:
            OSError: The port is taken, or may not be used.
        """
        super().__init__(("127.0.0.1", port), handler)

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Answer, until :meth:`stop`."""
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": _POLL}, daemon=True
        ).start()

    def stop(self) -> None:
        """Answer no more, and close the port."""
        self.shutdown()
        self.server_close()
