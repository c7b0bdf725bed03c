"""A small web server for tests, whose transfers can be made to break off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file at any path, and how it is served.

    Attributes
    ----------
    breaks
        Bytes after which each transfer in turn is cut; the ones after these are whole.
    ranges
        Whether the server knows ranges.
    status
        Answer each request with this error instead.
    asked
        The Range of each request so far.
    """

    content: bytes
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.headers.get("Range", ""))
            if served.status:
                self.send_error(served.status)
                return
            start = int(served.asked[-1].removeprefix("bytes=").removesuffix("-") or 0)
            start = start if served.ranges else 0
            if start >= len(served.content):
                self.send_error(416)
                return
            body = served.content[start:]
            self.send_response(206 if served.ranges else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.breaks.pop(0)] if served.breaks else body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve until the block ends; the url is in `served.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/weights/net.pt"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
