"""Pages that a thread of the test serves, and requests of strangers to them."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import flask
import waitress

from cnlw_tools.browser.app import make_app
from cnlw_tools.browser.serve import N_THREADS

LOOPBACK = "127.0.0.1"
TOKEN = "t0ken"  # noqa: S105


@contextmanager
def serve(pages: flask.Blueprint) -> Iterator[str]:
    """Serve pages as the package does, but in a thread; yield their address."""
    app = make_app(pages, TOKEN, frozenset({LOOPBACK}))
    server = waitress.create_server(app, host=LOOPBACK, port=0, threads=N_THREADS)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://{LOOPBACK}:{server.effective_port}/{TOKEN}/"
    server.trigger.pull_trigger(server._map.clear)  # its loop ends when nothing is left to watch
    thread.join()
    server.task_dispatcher.shutdown()
    for channel in list(server.active_channels.values()):
        channel.handle_close()
    server.close()


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
