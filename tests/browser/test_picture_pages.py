"""The served page of pictures: what each address answers."""

import pytest
from flask.testing import FlaskClient

from cnlw_tools.browser.app import make_app
from cnlw_tools.browser.picture_pages import make_pages
from tests.browser.scripts import read_column, read_script
from tests.browser.test_static_folder import Pictures, make_items

HOST = {"HTTP_HOST": "127.0.0.1:8000"}


@pytest.fixture
def client() -> FlaskClient:
    app = make_app(make_pages(make_items(), Pictures(broken=3)), "t0ken", frozenset({"127.0.0.1"}))
    return app.test_client()


def test_the_page_and_what_it_shows(client: FlaskClient) -> None:
    """With the policy that nothing from elsewhere is loaded."""
    with client.get("/t0ken/", environ_overrides=HOST) as page:
        assert page.mimetype == "text/html"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    script = client.get("/t0ken/items.js", environ_overrides=HOST)

    assert script.mimetype == "text/javascript"
    block = read_script(script.get_data(as_text=True))
    assert read_column(block["columns"]["id"]) == list("abcde")
    assert block["suffixes"] is None
    assert block["hasThumbnail"] is None


def test_a_picture_comes_in_its_format(client: FlaskClient) -> None:
    """Whatever the address ends with; a browser may keep it for an hour."""
    for index, kind in ((0, "image/png"), (1, "image/jpeg")):
        answer = client.get(f"/t0ken/pictures/{index}.jpg", environ_overrides=HOST)
        assert answer.data == Pictures().read(index).data
        assert answer.mimetype == kind
        assert answer.headers["Cache-Control"] == "private, max-age=3600"
    small = client.get("/t0ken/thumbnails/1.jpg", environ_overrides=HOST)
    assert 0 < len(small.data) < len(Pictures().read(1).data)


@pytest.mark.parametrize(
    "path",
    [
        "pictures/3.jpg",
        "pictures/-1.jpg",
        "pictures/x.jpg",
        "pictures/../items.js",
        "pictures/%2e%2e/%2e%2e/etc/passwd",
        "pictures/1.jpg/..",
        "thumbnails/3.jpg",
        "static/gallery.html",
        "index.html",
    ],
)
def test_other_addresses_are_404(client: FlaskClient, path: str) -> None:
    """One that cannot be read, ids that are none, and tricks with paths."""
    assert client.get(f"/t0ken/{path}", environ_overrides=HOST).status_code == 404
    assert client.get(f"/other/{path}", environ_overrides=HOST).status_code == 403
