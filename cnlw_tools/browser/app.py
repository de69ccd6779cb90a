"""The web application around all pages: who may see them, what each answer carries, errors.

    http://HOST:PORT/TOKEN/            the page: route ``/`` of the blueprint
    http://HOST:PORT/TOKEN/static/X    a script or a style sheet of this folder's ``static``

The token is a random secret. A request without it, or for another host name, gets 403. The second
rule keeps out pages of other sites whose name leads to this computer. Pages use only relative
addresses, and no cookies. An error is one sentence of plain text.
"""

import hmac
import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flask
from werkzeug.exceptions import HTTPException

STATIC = Path(__file__).parent / "static"
STATIC_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104, a server that listens on all
MAX_BODY = 1 << 20  # bytes of a request
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PICTURE_CACHE = "private, max-age=3600"  # the value of Cache-Control for pictures
STRANGER = (
    "This address has no valid token: open the full address that cnlw printed. If cnlw was "
    "restarted, it printed a new address, and its page sends the votes that were not sent yet."
)
OTHER_HOST = "This server answers only at the address that cnlw printed."
NOT_FOUND = "There is no such page."
FAULT = "The server failed: see the messages in the terminal where cnlw runs."


def make_app(pages: flask.Blueprint, token: str, hosts: frozenset[str]) -> flask.Flask:
    """Return the application that serves pages under a token.

    Args:
        pages: their routes, relative to the address with the token; templates are in ``static``
        token: first segment of the path of each address
        hosts: names and addresses, without a port, by which requests may call this server; with
            0.0.0.0 or :: any numeric address
    """
    app = flask.Flask(__name__, static_folder=None, template_folder=str(STATIC))
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False  # no redirect for a path trick, but 404

    @app.before_request
    def check_address() -> None:
        _check_host(flask.request.environ.get("HTTP_HOST", ""), hosts)
        _check_token(flask.request.path, token)

    @app.url_value_preprocessor
    def drop_token(endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values:
            values.pop("token", None)

    @app.get("/<token>/static/<name>")
    def static_file(name: str) -> flask.Response:
        suffix = Path(name).suffix
        if suffix not in STATIC_TYPES or not (STATIC / name).is_file():
            flask.abort(404)
        # whole, as a file that is sent bit by bit stays open when a browser goes away
        return flask.Response((STATIC / name).read_bytes(), mimetype=STATIC_TYPES[suffix])

    app.register_blueprint(pages, url_prefix="/<token>")
    app.register_error_handler(HTTPException, _describe_error)
    app.after_request(_add_headers)
    return app


def _check_host(header: str, hosts: frozenset[str]) -> None:
    """Answer 403 unless the Host header names this server."""
    try:
        host = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        host = ""
    if host in hosts or (hosts & EVERY_ADDRESS and _is_address(host)):
        return
    flask.abort(403, OTHER_HOST)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_token(path: str, token: str) -> None:
    """Answer 403 unless the first segment of a path is the token."""
    segment = path.removeprefix("/").partition("/")[0]
    if not hmac.compare_digest(segment.encode(errors="replace"), token.encode()):
        flask.abort(403, STRANGER)


def _describe_error(error: HTTPException) -> flask.typing.ResponseReturnValue:
    """Return an error as one sentence; a redirect as it is."""
    code = error.code or 500
    if code < 400:
        return error.get_response()
    sentence = error.description or error.name
    if code == 404:
        sentence = NOT_FOUND
    elif code == 500:
        sentence = FAULT
    return flask.Response(f"{sentence}\n", code, mimetype="text/plain")


def _add_headers(response: flask.Response) -> flask.Response:
    """Add the headers that every answer has; what a route sets for the cache stays."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response
