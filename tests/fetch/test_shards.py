"""Fetches on several machines divide the sites: none asks a site of another."""

import pytest

from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.fetch import FetchOptions, fetch
from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.worker import is_own_site
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import Store, open_ledger

NOWHERE, LOCALHOST, LOOPBACK = (WorkShard(3, number) for number in (1, 2, 3))
SHARDS = (NOWHERE, LOCALHOST, LOOPBACK)  # whose sites are none here, localhost, and 127.0.0.1


@pytest.fixture
def run(tmp_path, write_manifest):
    """Fetch the URIs of a shard; return the counts and the outcomes by id."""

    def run(uris, work_shard, **choices):
        options = FetchOptions(allow_private=True, work_shard=work_shard, **choices)
        manifest = Manifest(write_manifest(uris))
        with open_ledger(tmp_path / "store") as ledger:
            tally = fetch(manifest, ledger, options, 4)
        with Store(tmp_path / "store") as store:
            return tally, {row.image_id: row.outcome for row in store.rows()}

    return run


def shards_of(uri, image_id="a", per_host=4):
    """Return the shards that a request belongs to."""
    address = parse_uri(uri)
    options = [FetchOptions(per_host, work_shard=shard) for shard in SHARDS]
    return [own.work_shard for own in options if is_own_site(address, image_id, own)]


def localhost(server):
    """The address of the server under its other name."""
    return server.url.replace("127.0.0.1", "localhost")


def test_a_site_belongs_to_one_shard():
    """Under http and https, with www and without, and at every port."""
    for number in range(20):
        site = f"site{number}.example"
        (shard,) = shards_of(f"http://{site}/a.jpg")
        for other in (f"https://{site}/b", f"https://www.{site}/c", f"http://{site}:8080/d"):
            assert [shard] == shards_of(other)


def test_sites_are_divided_evenly():
    """No shard has many more than another."""
    counts = dict.fromkeys(SHARDS, 0)
    for number in range(600):
        (shard,) = shards_of(f"http://site{number}.example/")
        counts[shard] += 1

    assert min(counts.values()) > 150


def test_without_a_limit_images_are_divided():
    """All shards request the same host, so a redirect to another host is no matter."""
    for image_id in ("a", "b", "c"):
        (shard,) = shards_of("http://one.example/", image_id, per_host=0)
        assert [shard] == shards_of("http://two.example/", image_id, per_host=0)
    assert len({shards_of("http://x.example/", str(i), 0)[0] for i in range(20)}) == 3


def test_a_shard_requests_its_sites_alone(server, run):
    """Rows of other sites have no outcome; all shards together have them all."""
    uris = {"a": f"{server.url}/ok/1", "b": f"{localhost(server)}/ok/2", "c": "mailto:x"}

    tally, outcomes = run(uris, LOOPBACK)
    assert {"a": "ok"}.items() <= outcomes.items()
    assert {"b"} & outcomes.keys() == set()
    assert len(uris) == tally.counts.total() + tally.of_other_shards
    assert tally.of_other_shards == tally.skipped
    assert {"/ok/1": 1} == dict(server.images())

    for shard in SHARDS:
        _, outcomes = run(uris, shard)
    assert {"a": "ok", "b": "ok", "c": "refused"} == outcomes
    assert {"/ok/1": 1, "/ok/2": 1} == dict(server.images())


def test_a_row_without_a_site_belongs_to_one_shard(run):
    """Otherwise each would say that it was refused."""
    uris = {f"{number}": "no uri" for number in range(9)}
    n_refused = [run(uris, shard)[0].fetched for shard in SHARDS]

    assert 9 == sum(n_refused)


@pytest.mark.parametrize("path", ["/to?url={url}/ok/5", "/to?url={url}/to?url={url}/ok/5"])
def test_a_redirect_to_a_site_of_another_shard_is_left(server, run, path):
    """It has no outcome, and the other site is not asked; a last fetch of all sites gets it."""
    uri = server.url + path.format(url=localhost(server))

    tally, outcomes = run({"a": uri, "b": f"{server.url}/ok/1"}, LOOPBACK)
    assert ({"b": "ok"}, 1, 1) == (outcomes, tally.redirected, tally.skipped)
    assert 0 == server.requests["/ok/5"]

    _, outcomes = run({"a": uri}, WorkShard())
    assert {"a": "ok", "b": "ok"} == outcomes


def test_a_redirect_within_a_site_is_followed(server, run):
    """As from one path to another."""
    tally, outcomes = run({"a": f"{server.url}/hop/2"}, LOOPBACK)

    assert ({"a": "ok"}, 0) == (outcomes, tally.redirected)


def test_an_archive_is_a_site_of_one_shard(server, run):
    """The others leave their dead links to the last fetch."""
    uris = {"archived": f"{server.url}/status/404?archived"}
    archive = f"{localhost(server)}/archive/2020id_/"

    tally, outcomes = run(uris, LOOPBACK, archive=archive)
    assert ({}, 1) == (outcomes, tally.redirected)

    _, outcomes = run(uris, WorkShard(), archive=archive)
    assert {"archived": "ok"} == outcomes
