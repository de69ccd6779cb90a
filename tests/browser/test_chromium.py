"""The browser of these tests: which faults of a page it notices."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import PHONE, clipped_texts, faint_texts, find_chromium, overflow

POLICY = "<meta http-equiv=Content-Security-Policy content=\"script-src 'self'\">"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server whose pages all are empty."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


FAULTS = {
    "<script>console.error('bad')</script>": "console: bad",
    "<script>throw Error('bad')</script>": "exception: bad",
    "<script>Promise.reject(Error('bad'))</script>": "exception: bad",
    "<script>alert('bad')</script>": "dialog: bad",
    f"{POLICY}<script>1</script>": "Content Security Policy",
    "<img src=missing.png>": "missing.png",
    "<img src=http://example.org/a.png>": "request to http://example.org/a.png",
    "<img src=../a.png>": "request to file:///",
    "<script>new WebSocket('ws://127.0.0.1:9/')</script>": "request to ws://127.0.0.1:9/",
}


def write_page(folder: Path, text: str) -> str:
    """Write a page of this body; return its address."""
    (folder / "page.html").write_text(f"<!doctype html><title>t</title>{text}", encoding="utf-8")
    return (folder / "page.html").as_uri()


def test_every_fault_is_noticed(visit, tmp_path):
    """The visit would fail at its end if the test did not take them."""
    page = visit.open(write_page(tmp_path, "<p>no fault</p>"), PHONE)
    page.reload()
    assert visit.faults == []
    for text, fault in FAULTS.items():
        write_page(tmp_path, text)
        page.reload()
        visit.take(fault)
        page.evaluate("0")
        visit.faults.clear()  # a request that is blocked is on the console too


def test_another_port_of_this_machine_is_another_origin(visit, tmp_path, port):
    """A server listens there, and does not hear of it."""
    page = visit.open(f"http://127.0.0.1:{port}/a/b")
    assert visit.faults == []
    page.evaluate(f"fetch('http://127.0.0.1:{port + 1}/').catch(() => 0)")

    visit.take(f"request to http://127.0.0.1:{port + 1}/")
    visit.faults.clear()


def test_what_does_not_fit_or_cannot_be_read_is_noticed(visit, tmp_path):
    """A wide line is clipped, unless it scrolls; grey on white is faint, black is not."""
    address = write_page(
        tmp_path,
        "<p style='width:500px;white-space:nowrap'>wide " + 80 * "x" + "</p>"
        "<div style='overflow-x:auto'><p style='width:500px'>" + 80 * "y" + "</p></div>"
        "<p style='color:#999'>grey</p><p style='color:rgb(0 0 0 / .8)'>black</p>",
    )
    page = visit.open(address, PHONE)

    assert overflow(page) > 100
    assert [text[:4] for text in clipped_texts(page.locator("body"))] == ["wide"]
    assert [text[6:] for text in faint_texts(page)] == ["grey"]


def test_without_a_browser_tests_are_skipped_but_not_where_ci_is_true(monkeypatch):
    """Both say what to install."""
    monkeypatch.setattr(chromium, "PROGRAMS", ("no-such-browser",))
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        find_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_chromium()
