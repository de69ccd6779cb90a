"""An archive is requested for dead links, if the user asks for it, and for nothing else."""

import socket

import pytest

from cnlw_tools.fetch import FetchOptions, fetch
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.pack import open_store
from cnlw_tools.store.store import Store
from cnlw_tools.store.writer import open_writer


@pytest.fixture(autouse=True)
def no_names(monkeypatch):
    """Resolve hosts that end in .invalid without a name server: they are unknown."""
    getaddrinfo = socket.getaddrinfo

    def look_up(host, *args, **options):
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def uris(server):
    """URIs that are dead links, and others."""
    paths = {
        "archived": "/status/404?archived",
        "gone": "/status/410",
        "shy": "/status/404?archived=noai",
        "no": "/status/403?archived",
        "ok": "/ok/1",
        "html": "/body/html?archived",
    }
    uris = {image_id: server.url + path for image_id, path in paths.items()}
    return uris | {"name": "http://archived.invalid/1.jpg"}


def test_only_dead_links_are_requested(server, fetch_rows, uris):
    """Dead links come from the archive, as their rows say; other failures stay as they are."""
    archive = f"{server.url}/archive/2020id_/"

    rows = fetch_rows(uris, archive=archive)

    outcomes = {
        "ok": "ok",
        "name": "ok",
        "archived": "ok",
        "gone": "http_410",
        "shy": "http_404",
        "no": "http_403",
        "html": "not_image",
    }
    assert outcomes == {image_id: row.outcome for image_id, row in rows.items()}
    sources = {image_id: row.source for image_id, row in rows.items() if row.source}
    assert {"archived": "archive", "name": "archive", "ok": "uri"} == sources
    assert (
        f"{server.url}/archive/20200102030405id_/{uris['archived']}" == rows["archived"].final_uri
    )
    assert "HTTP 410; in the archive: http_404, HTTP 404" == rows["gone"].reason
    assert "in the archive: opt_out" in rows["shy"].reason
    assert 410 == rows["gone"].status
    prefix = "/archive/2020id_/"
    requested = {path[len(prefix) :] for path in server.requests if path.startswith(prefix)}
    assert {uris[image_id] for image_id in ("archived", "gone", "shy", "name")} == requested


def test_no_archive_by_default(server, fetch_rows, uris, tmp_path):
    """The archive is off by default; dead links can be retried with it later, by their outcome."""
    assert "http_404" == fetch_rows(uris)["archived"].outcome
    assert not [path for path in server.requests if path.startswith("/archive")]

    rows = fetch_rows(uris, retry="http_404", archive=f"{server.url}/archive/2020id_/")

    assert ("ok", 3) == (rows["archived"].outcome, rows["archived"].attempts)
    with Store(tmp_path / "store") as store:
        assert store.read("archived") == store.read("archived")


def test_a_store_at_an_address_keeps_what_the_archive_has(
    server, uris, write_manifest, memory, tmp_path, monkeypatch
):
    """Dead links are looked up by a later fetch of another machine, as in a folder."""
    manifest = Manifest(write_manifest({name: uris[name] for name in ("archived", "gone", "ok")}))
    archive = f"{server.url}/archive/2020id_/"
    for machine, retry, choices in (
        ("one", None, {}),
        ("two", "http_404", {"archive": archive}),
        ("three", "failed", {}),
    ):
        monkeypatch.setenv("CNLW_CACHE", str(tmp_path / machine))
        with open_writer("memory://bucket/web") as writer:
            options = FetchOptions(allow_private=True, **choices)
            fetch(manifest, writer.ledger, options, 8, retry)
            writer.finish()

    with open_store("memory://bucket/web") as store:
        rows = {row.image_id: (row.outcome, row.source) for row in store.rows()}
        assert store.read("archived")
        assert {"archive": 1} == store.count_foreign_sources()
    assert {"archived": ("ok", "archive"), "gone": ("http_410", None), "ok": ("ok", "uri")} == rows
    assert 1 == server.requests["/ok/1"]


def test_the_rules_of_the_archive(server, fetch_rows, uris):
    """The robots.txt of the archive is obeyed like any other."""
    server.robots = 200, "User-agent: *\nDisallow: /archive/"

    row = fetch_rows(uris, archive=f"{server.url}/archive/2020id_/")["archived"]

    assert "http_404" == row.outcome
    assert "in the archive: robots" in row.reason


def test_all_links_of_a_dead_host(server, fetch_rows):
    """Links that are not requested because their host is blocked are requested from the archive."""
    rows = fetch_rows(
        {str(i): f"http://archived.invalid/{i}.jpg" for i in range(8)},
        archive=f"{server.url}/archive/2020id_/",
    )

    assert {("ok", "archive")} == {(row.outcome, row.source) for row in rows.values()}
