"""Pages that a thread of the test serves, and requests of strangers to them."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

from cnlw_tools.browser.app import make_app

LOOPBACK = "127.0.0.1"
TOKEN = "t0ken"  # noqa: S105


class QuietHandler(WSGIRequestHandler):
    """Prints no line for a request."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serve(pages: flask.Blueprint) -> Iterator[str]:
    """Serve pages as the package does, in a thread; yield their address."""
    app = make_app(pages, TOKEN, frozenset({LOOPBACK}))
    server = make_server(LOOPBACK, 0, app, threaded=True, request_handler=QuietHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://{LOOPBACK}:{server.port}/{TOKEN}/"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(
    address: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> http.client.HTTPResponse:
    """Return the answer to a request whose path is sent as it stands; its body has been read."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.text = answer.read().decode(errors="replace")
    connection.close()
    return answer
