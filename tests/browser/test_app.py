"""Pages are served to those who have the address, and to nobody else."""

import http.client
import ipaddress
import os
import signal
import socket
import threading
from urllib.parse import urlsplit

import flask
import pytest

from cnlw_tools.browser import app as browser_app
from cnlw_tools.browser import serve
from cnlw_tools.browser.app import HEADERS, MAX_BODY, make_app
from cnlw_tools.browser.serve import PageServer, host_names, is_private, usual_port

SECRET = "t0ken"  # noqa: S105
EVERYWHERE = "0.0.0.0"  # noqa: S104
HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def make_pages():
    pages = flask.Blueprint("pages", __name__)

    @pages.get("/")
    def index():
        return "the page"

    @pages.get("/pictures/<int:number>.jpg")
    def picture(number):
        answer = flask.Response(f"picture {number}", mimetype="image/jpeg")
        answer.headers["Cache-Control"] = browser_app.PICTURE_CACHE
        return answer

    @pages.post("/votes")
    def votes():
        return flask.jsonify(len(flask.request.get_data()))

    @pages.get("/fault")
    def fault():
        raise RuntimeError("secret detail")

    return pages


@pytest.fixture
def client():
    return make_app(make_pages(), SECRET, HOSTS).test_client()


def get(client, path, host="127.0.0.1:8000"):
    return client.get(path, headers={"Host": host})


def test_the_page_is_at_the_token(client):
    """Whoever has the token sees the page, at the names of the host, whatever the port."""
    for host in ("127.0.0.1:8000", "localhost:1", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
        answer = get(client, f"/{SECRET}/", host)

        assert (200, "the page") == (answer.status_code, answer.text)


@pytest.mark.parametrize(
    "path",
    ["/", "/other/", "/t0ke/", "/t0ken2/", "/T0KEN/", "//t0ken/", "/other/../t0ken/", "/%ff/"],
)
def test_strangers_get_403(client, path):
    """Without the token every path, known or not, gives the same sentence."""
    answer = get(client, path)

    assert (403, browser_app.STRANGER) == (answer.status_code, answer.text.strip())


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
def test_another_host_gets_403(client, host):
    """A site whose name leads to this computer cannot use the page, even with the token."""
    answer = get(client, f"/{SECRET}/", host)

    assert (403, browser_app.OTHER_HOST) == (answer.status_code, answer.text.strip())


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "pictures/x.jpg",
        "pictures/-1.jpg",
        "pictures/1.png",
        "pictures/../pictures/1.jpg",
        "pictures//1.jpg",
        "pictures/1.jpg/",
        "static/app.py",
        "static/../app.py",
        "static/..%2fapp.py",
        "static/%2e%2e/app.py",
        "static/%2fetc%2fpasswd.css",
        "static/.css",
    ],
)
def test_path_tricks_get_404(client, path):
    """What is no page, no number and no file of the folder is not found."""
    answer = get(client, f"/{SECRET}/{path}")

    assert (404, browser_app.NOT_FOUND) == (answer.status_code, answer.text.strip())


@pytest.mark.parametrize("path", [f"/{SECRET}/", f"/{SECRET}/pictures/1.jpg", f"/{SECRET}/x", "/"])
def test_every_answer_has_the_headers(client, path):
    """Pages, pictures and errors forbid other scripts, and to be framed."""
    answer = get(client, path)

    assert HEADERS == {name: answer.headers[name] for name in HEADERS}
    assert "Set-Cookie" not in answer.headers


def test_only_pictures_are_cached(client):
    """The browser keeps pictures, and nothing else."""
    assert (
        "private, max-age=3600" == get(client, f"/{SECRET}/pictures/1.jpg").headers["Cache-Control"]
    )
    assert "no-store" == get(client, f"/{SECRET}/").headers["Cache-Control"]


def test_a_missing_slash_is_added(client):
    """The address without the slash at its end leads to the one with it."""
    answer = get(client, f"/{SECRET}")

    assert 308 == answer.status_code
    assert f"/{SECRET}/" == urlsplit(answer.headers["Location"]).path


def test_a_body_has_a_limit(client):
    """A body of 1 MiB is read, and a longer one refused."""
    host = {"Host": "127.0.0.1"}
    longest = client.post(f"/{SECRET}/votes", data=b"x" * MAX_BODY, headers=host)
    longer = client.post(f"/{SECRET}/votes", data=b"x" * (MAX_BODY + 1), headers=host)

    assert (200, MAX_BODY) == (longest.status_code, longest.json)
    assert 413 == longer.status_code


def test_a_fault_tells_no_details(client, caplog):
    """The browser gets one sentence; the traceback is where the server runs."""
    answer = get(client, f"/{SECRET}/fault")

    assert (500, browser_app.FAULT) == (answer.status_code, answer.text.strip())
    assert "secret detail" in caplog.text


def test_styles_are_served(client):
    """A style sheet of the package has its type."""
    answer = get(client, f"/{SECRET}/static/page.css")

    assert (200, "text/css") == (answer.status_code, answer.mimetype)
    answer.close()


def test_names_of_hosts():
    """Loopback has its three names; an open server accepts any numeric address; others one."""
    assert HOSTS == host_names("localhost")
    assert frozenset({"lab"}) == host_names("Lab")
    anywhere = make_app(make_pages(), SECRET, host_names(EVERYWHERE)).test_client()
    assert 200 == get(anywhere, f"/{SECRET}/", "10.0.0.1:8000").status_code
    assert 200 == get(anywhere, f"/{SECRET}/", socket.gethostname()).status_code
    assert 403 == get(anywhere, f"/{SECRET}/", "evil.example").status_code
    assert [True, True, False] == [is_private(host) for host in ("127.0.0.1", "::1", EVERYWHERE)]


def test_an_open_server_names_its_numeric_address(monkeypatch):
    """A phone may not know the name of this computer; without a network, there is only the name."""
    with PageServer(make_pages(), host=EVERYWHERE) as server:
        hosts = [urlsplit(a).hostname for a in (server.address, *server.other_addresses)]
    assert socket.gethostname().lower() == hosts[-1]
    assert all(ipaddress.ip_address(host) for host in hosts[:-1])
    monkeypatch.setitem(serve.OUTSIDE, EVERYWHERE, (socket.AF_INET, "127.0.0.1"))
    assert ["127.0.0.1", socket.gethostname()] == serve._printed_hosts(EVERYWHERE)
    monkeypatch.setitem(serve.OUTSIDE, EVERYWHERE, (socket.AF_INET, "::1"))
    assert [socket.gethostname()] == serve._printed_hosts(EVERYWHERE)
    assert ["[::1]"] == serve._printed_hosts("::1")


def test_a_server_answers_until_a_signal():
    """It answers at the address that it names; SIGTERM and Ctrl-C end it without an error."""
    for number in (signal.SIGTERM, signal.SIGINT):
        statuses = []
        with PageServer(make_pages()) as server:
            caller = threading.Thread(target=call_and_stop, args=(server, number, statuses))
            caller.start()
            server.run()
            caller.join()

        assert [200, 403] == statuses
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)


def call_and_stop(server, number, statuses):
    try:
        for path in (urlsplit(server.address).path, "/"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            connection.close()
    finally:
        os.kill(os.getpid(), number)


def test_idle_connections_keep_nobody_out():
    """Browsers of many people keep connections open; one more person gets an answer."""
    statuses = []
    with PageServer(make_pages()) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(150)]
        caller = threading.Thread(target=call_and_stop, args=(server, signal.SIGTERM, statuses))
        caller.start()
        server.run()
        caller.join()
        for connection in idle:
            connection.close()

    assert [200, 403] == statuses


def test_the_usual_port_of_a_folder_with_any_name():
    """A name of a folder may be bytes that are no text."""
    name = os.fsdecode(b"votes of b\xffd")
    assert usual_port(name) == usual_port(name)


def test_a_port_in_use():
    """The error names the host, the port and the remedy."""
    with (
        PageServer(make_pages()) as server,
        pytest.raises(OSError, match=f"--host 127.0.0.1 --port {server.port}: .*0 for any"),
    ):
        PageServer(make_pages(), port=server.port)
    with pytest.raises(OSError, match="--host no such host --port 0: "):
        PageServer(make_pages(), host="no such host")
