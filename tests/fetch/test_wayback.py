"""Dead links: an archive is asked for them, if a user wants so, and for nothing else."""

import socket

import pytest

from cnlw_tools.store.store import Store


@pytest.fixture(autouse=True)
def no_names(monkeypatch):
    """No name server is asked, and none knows a host that ends in .invalid."""
    known = socket.getaddrinfo

    def look(host, *args, **more):
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look)


@pytest.fixture
def uris(server):
    """Dead links, and others that gave no image."""
    paths = {
        "kept": "/status/404?kept",
        "gone": "/status/410",
        "shy": "/status/404?kept=noai",
        "no": "/status/403?kept",
    }
    other = {"ok": "/ok/1", "html": "/body/html?kept"}
    return {k: server.url + path for k, path in (paths | other).items()} | {
        "name": "http://kept.invalid/1.jpg"
    }


def test_dead_links_alone_are_asked_for(server, fetched, uris):
    """What is dead and kept comes from the archive, and its row says so; the others keep their classes."""
    archive = f"{server.url}/archive/2020id_/"

    rows = fetched(uris, archive=archive)

    ends = {
        "kept": "ok",
        "gone": "http_410",
        "shy": "http_404",
        "no": "http_403",
        "html": "not_image",
    }
    assert ends | {"ok": "ok", "name": "ok"} == {k: row.kind for k, row in rows.items()}
    sources = {k: row.source for k, row in rows.items() if row.source}
    assert {"kept": "archive", "name": "archive", "ok": "uri"} == sources
    assert f"{server.url}/archive/20200102030405id_/{uris['kept']}" == rows["kept"].final_uri
    assert "HTTP 410; in the archive: http_404, HTTP 404" == rows["gone"].reason
    assert "in the archive: opt_out" in rows["shy"].reason
    assert 410 == rows["gone"].status
    asked = [path for path in server.seen if path.startswith("/archive/2020id_")]
    assert {uris[k] for k in ("kept", "gone", "shy", "name")} == {
        path[len("/archive/2020id_/") :] for path in asked
    }


def test_an_archive_is_not_asked_by_itself(server, fetched, uris, tmp_path):
    """Off by default; later dead links are asked for again by their class, and the archive then."""
    assert "http_404" == fetched(uris)["kept"].kind
    assert not [path for path in server.seen if path.startswith("/archive")]

    rows = fetched(uris, retry="http_404", archive=f"{server.url}/archive/2020id_/")

    assert ("ok", 3) == (rows["kept"].kind, rows["kept"].attempts)
    with Store(tmp_path / "store") as store:
        assert store.read("kept") == store.read("kept")


def test_the_rules_of_the_archive_count(server, fetched, uris):
    """Its robots.txt is heeded like any other."""
    server.robots = 200, "User-agent: *\nDisallow: /archive/"

    row = fetched(uris, archive=f"{server.url}/archive/2020id_/")["kept"]

    assert "http_404" == row.kind
    assert "in the archive: robots" in row.reason


def test_a_dead_host_is_dead_for_all_its_links(server, fetched):
    """Links that are not asked for, as their host was not found three times, are asked of the archive, too."""
    rows = fetched(
        {str(i): f"http://kept.invalid/{i}.jpg" for i in range(8)},
        archive=f"{server.url}/archive/2020id_/",
    )

    assert {("ok", "archive")} == {(row.kind, row.source) for row in rows.values()}
