"""A server of S3 on loopback, in a process of its own, which fails as often as a test asks.

`moto` is the server. A PUT to FAULTS with JSON lists faults, each of which the next requests meet
whose method it names, and that many of them:

    {"method": "PUT", "status": 503, "times": 3}     the server is busy ("SlowDown")
    {"method": "GET", "status": 500, "times": 2}     it has an error of its own
    {"method": "GET", "status": 0, "times": 1}       it breaks off in the middle of a body
    {"method": "PUT", "status": 200, "seconds": 1}   it is slow, and then does its work

A GET of FAULTS returns the method and the path of every request so far.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

FAULTS = "/_faults"
ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>as asked</Message></Error>"
CODES = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class FaultyServer:
    """Passes requests to an application, but for those that a fault meets."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.faults: list[dict[str, Any]] = []
        self.requests: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == FAULTS:
            return self._answer(environ, start)
        method = environ["REQUEST_METHOD"]
        self.requests.append(f"{method} {environ['PATH_INFO']}")
        fault = self._next_fault(method)
        time.sleep(fault.get("seconds", 0))
        if fault["status"] in CODES:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{fault['status']} ERROR", [("Content-Type", "application/xml")])
            return [ERROR.format(code=CODES[fault["status"]]).encode()]
        body = self.application(environ, start)
        if fault["status"] == 0:
            return [b"".join(body)[:-1]]  # one byte less than the header says
        return body

    def _next_fault(self, method: str) -> dict[str, Any]:
        for fault in self.faults:
            if fault["method"] == method and fault["times"] > 0:
                fault["times"] -= 1
                return fault
        return {"status": 200}

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Take new faults, or tell all requests."""
        start("200 OK", [("Content-Type", "application/json")])
        if environ["REQUEST_METHOD"] == "PUT":
            self.faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self.requests = []
        return [json.dumps(self.requests).encode()]


def main() -> None:
    """Serve on a free port of loopback, and print it; end when the standard input does."""
    from threading import Thread

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server(
        "127.0.0.1",
        0,
        FaultyServer(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
    )
    print(server.port, flush=True)  # noqa: T201, its only output
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
