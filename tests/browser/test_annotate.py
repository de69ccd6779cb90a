"""The page for votes: what it shows, what it takes, and what it refuses."""

import errno
import json
import os
import re
import signal
import threading
import urllib.request
from functools import partial
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools.browser.annotate import MAX_CHANGES, Ending, make_pages
from cnlw_tools.browser.annotation import open_annotation
from cnlw_tools.browser.app import MAX_BODY, make_app
from cnlw_tools.browser.pictures import LARGE, THUMBNAIL, scaled_jpeg
from cnlw_tools.browser.serve import PageServer, open_server, usual_port
from cnlw_tools.cli import main
from cnlw_tools.cli.serve_votes import describe_level, warn_of_others
from cnlw_tools.dataset.dataset import read_dataset
from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.store.pack import pack_store
from cnlw_tools.store.store import Store
from tests.browser.voting import (
    CLASSES,
    NAME,
    candidate,
    noise_picture,
    write_root,
    write_store,
)

CANDIDATES = [candidate(f"w{i}", i % 3, dead=i == 8) for i in range(9)]


def make_place(folder):
    """Write a root, and a store in which w6 looks like w0, and w7 and w8 are dead."""
    write_root(folder, CANDIDATES)
    pictures = {f"w{i}": noise_picture(i) for i in (0, 1, 2, 3, 4, 5, 8)}
    write_store(folder / "store", pictures | {"w6": pictures["w0"], "w7": None})
    return folder


@pytest.fixture
def place(tmp_path):
    """A root and a store."""
    return make_place(tmp_path)


@pytest.fixture
def annotation(place):
    with open_annotation(NAME, place, place / "store", None, 2) as annotation:
        yield annotation


@pytest.fixture
def page(annotation):
    return Page(make_app(make_pages(annotation), "t", frozenset({"localhost"})).test_client())


@pytest.fixture(scope="module")
def strict_page(tmp_path_factory):
    """A page that refuses all it is asked, so that nothing of it is ever saved."""
    place = make_place(tmp_path_factory.mktemp("strict"))
    with open_annotation(NAME, place, place / "store", None, 2) as annotation:
        app = make_app(make_pages(annotation), "t", frozenset({"localhost"}))
        yield Page(app.test_client())
        assert not (place / "annotations").exists()


class Page:
    """What a browser asks for."""

    def __init__(self, client):
        self.client = client

    def get(self, path):
        return self.client.get(f"/t/{path}")

    def post(self, path, **request):
        return self.client.post(f"/t/{path}", data=json.dumps(request))

    def next(self, name="ann", page="p", n=9, **request):
        answer = self.post("next", name=name, page=page, n=n, **request)
        return [entry["row"] for entry in answer.json["candidates"]]

    def vote(self, row, verdict, name="ann", **vote):
        one = {"image_id": f"w{row}", "label": row % 3, "verdict": verdict, **vote}
        answer = self.post("votes", name=name, votes=[one])
        assert 200 == answer.status_code, answer.text
        return answer.json["results"][0]


def stored(place):
    """Return the votes on the disk."""
    votes = read_dataset(NAME, place).votes.to_pylist()
    return {(v["image_id"], v["annotator"]): v["correct"] for v in votes}


def test_the_page_has_no_script_of_its_own(page, annotation):
    """All scripts and styles are files of the package, at relative addresses; texts are escaped."""
    pages = make_pages(annotation, '"><script>alert(1)</script>')
    client = make_app(pages, "t", frozenset({"localhost"})).test_client()
    text = client.get("/t/").text

    assert "<script>" not in text
    assert "&#34;&gt;&lt;script&gt;" in text
    for part in text.split('src="')[1:] + text.split('href="')[1:]:
        address = part.partition('"')[0]
        assert address.startswith("static/")
        answer = page.get(address)
        assert 200 == answer.status_code
        answer.close()


def test_next_and_progress(page):
    """Candidates without a picture, marked as dead, and copies never come."""
    assert {0, 1, 2, 3, 4, 5} == {*page.next()}
    assert {1, 4} == {*page.next(label=1)}
    assert [] == page.next(held=[0, 1, 2, 3, 4, 5, 99, -1])
    classes = page.get("progress").json["classes"]
    assert list(CLASSES) == [entry["name"] for entry in classes]
    assert [2, 2, 2] == [entry["n_candidates"] for entry in classes]

    for name in ("ann", "bob"):
        page.vote(1, "no", name)
    page.vote(2, "unsure")

    assert {0, 3, 4, 5} == {*page.next()}
    assert {0, 2, 3, 4, 5} == {*page.next("eve")}
    progress = page.get("progress?name=ann").json["classes"]
    assert [(2, 0, 2), (2, 1, 1), (2, 0, 1)] == [
        (entry["n_candidates"], entry["n_complete"], entry["n_open"]) for entry in progress
    ]


def test_progress_counts_votes(page):
    """Votes of yes and no count as far as they are needed, those of the person all."""
    for name in ("ann", "bob", "eve"):
        page.vote(1, "no", name)
    page.vote(4, "unsure")
    entry = page.get("progress?name=ann").json["classes"][1]

    assert (2, 1, 0, 2, 2) == tuple(
        entry[f"n_{name}"] for name in ("candidates", "complete", "open", "given", "own")
    )


def test_a_page_stays_at_a_class(page):
    """Candidates come class by class, from the one that the page is at, around to the others."""
    for first in (0, 1, 2, 3):
        labels = [row % 3 for row in page.next(first_label=first)]
        assert [(first + i // 2) % 3 for i in range(6)] == labels
    beginnings = {page.next(page=f"p{i}", name=f"n{i}", n=1)[0] % 3 for i in range(9)}
    assert {0, 1, 2} == beginnings
    answer = page.post("next", name="ann", page="p", n=1).json
    assert 2 == answer["candidates"][0]["missing"]


def test_another_server_has_voted(page, place):
    """Its votes count at once: nobody is asked about what has all its votes."""
    with open_annotation(NAME, place, place / "store", None, 2) as other:
        second = Page(make_app(make_pages(other), "t", frozenset({"localhost"})).test_client())
        for name in ("bob", "eve"):
            second.vote(0, "yes", name)

        assert 0 not in page.next()
        assert 1 == page.get("progress").json["classes"][0]["n_complete"]
        assert [2, 0] == page.post("class", name="ann", label=0).json["missing"]
    web = place / "manifests" / NAME / "web.parquet"
    os.utime(web, ns=(1, 1))
    answer = page.post("next", name="ann", page="p", n=1)
    assert (503, True) == (answer.status_code, "candidates were changed" in answer.text)


def test_the_end_says_what_follows(tiny, tmp_path):
    """The page tells how much red noise the votes allow, and names the next command."""
    root = tiny(tmp_path / "root")
    level = partial(describe_level, "shapes", root, None, None)
    with open_annotation("shapes", root, tmp_path / "none", None, 3) as annotation:
        answers = []
        for ending in (None, Ending("cnlw votes report", level), Ending("cnlw", fail)):
            app = make_app(make_pages(annotation, None, ending), "t", frozenset({"localhost"}))
            answers.append(Page(app.test_client()).get("end").json)

    assert {"command": "", "level": ""} == answers[0]
    assert "cnlw votes report" == answers[1]["command"]
    assert re.fullmatch(
        r"Red noise is possible up to \d+ % so far, limited by the class .+\.", answers[1]["level"]
    )
    assert {"command": "cnlw", "level": ""} == answers[2]


def fail():
    raise OSError("the store is gone")


def test_votes_and_undo(page, place):
    """An answered vote is on the disk; undoing it restores what was there."""
    first = page.vote(0, "yes", seconds=1.5)
    second = page.vote(0, "no", seconds=2)
    assert (None, True) == (first["former"], first["is_applied"])
    assert {"verdict": "yes", "at": first["at"], "seconds": 1.5} == second["former"]
    assert {("w0", "1"): False} == stored(place)

    for result in (second, first):
        undo = {"at": result["at"], "former": result["former"]}
        answer = page.post(
            "votes", name="ann", votes=[{"image_id": "w0", "label": 0, "undo": undo}]
        )
        assert answer.json["results"][0]["is_applied"]

    assert {} == stored(place)


def test_two_tabs_of_one_person(page, place):
    """The later of two votes on one candidate counts, whichever arrives first."""
    page.vote(0, "yes", at=1_700_000_000_000_002)
    late = page.vote(0, "no", at=1_700_000_000_000_001)

    assert not late["is_applied"]
    assert {("w0", "1"): True} == stored(place)


def test_a_name_in_other_forms_is_one_person(page, place):
    """Neither blanks nor capitals make another person, who could vote a second time."""
    for first, *others in ((" Ann@Lab.org ", "ann@lab.org"), ("Cid Lee", " cid  lee ", "CID LEE")):
        page.vote(0, "yes", first)
        for name in others:
            assert 0 not in page.next(name)
            page.vote(0, "no", name)

    assert {("w0", "1"): False, ("w0", "2"): False} == stored(place)


def test_the_grid_of_a_class(page):
    """It has all candidates of the class, open ones first, with this person's votes."""
    page.vote(3, "yes")
    page.vote(0, "no", "bob")
    grid = page.post("class", name="ann", label=0).json

    assert [(0, "", 1), (3, "yes", 1)] == list(
        zip(grid["rows"], grid["verdicts"], grid["missing"], strict=True)
    )
    assert [f"w{row}" for row in grid["rows"]] == grid["image_ids"]


VOTE = {"image_id": "w0", "label": 0, "verdict": "yes"}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"votes": [VOTE]}, "name must be"),
        ({"name": "", "votes": [VOTE]}, "name is empty"),
        ({"name": "  ", "votes": [VOTE]}, "name is empty"),
        ({"name": "x" * 10_000, "votes": [VOTE]}, "name must be one line of at most 200"),
        ({"name": "a\nb", "votes": [VOTE]}, "name must be"),
        ({"name": "\ud800", "votes": [VOTE]}, "name must be"),
        ({"name": "Consensus", "votes": [VOTE]}, "stands for published verdicts"),
        ({"name": 3, "votes": [VOTE]}, "name must be"),
        ({"name": "ann"}, "list of 1 to"),
        ({"name": "ann", "votes": []}, "list of 1 to"),
        ({"name": "ann", "votes": [VOTE] * (MAX_CHANGES + 1)}, "list of 1 to"),
        ({"name": "ann", "votes": "yes"}, "list of 1 to"),
        ({"name": "ann", "votes": ["yes"]}, "vote is not a JSON object"),
        ({"name": "ann", "votes": [VOTE | {"image_id": "none"}]}, "no candidate"),
        ({"name": "ann", "votes": [VOTE | {"image_id": ["w0"]}]}, "no candidate"),
        ({"name": "ann", "votes": [VOTE | {"label": 1}]}, "no candidate"),
        ({"name": "ann", "votes": [VOTE | {"label": 99}]}, "no candidate"),
        ({"name": "ann", "votes": [VOTE | {"label": True}]}, "no candidate"),
        ({"name": "ann", "votes": [VOTE | {"image_id": "w7", "label": 1}]}, "has no picture"),
        ({"name": "ann", "votes": [VOTE | {"image_id": "w8", "label": 2}]}, "has no picture"),
        ({"name": "ann", "votes": [VOTE | {"verdict": "maybe"}]}, "one of yes, no, unsure"),
        ({"name": "ann", "votes": [VOTE | {"verdict": ["yes"]}]}, "one of yes, no, unsure"),
        ({"name": "ann", "votes": [VOTE | {"seconds": -1}]}, "seconds must be a number"),
        ({"name": "ann", "votes": [VOTE | {"seconds": "1"}]}, "seconds must be a number"),
        ({"name": "ann", "votes": [VOTE | {"seconds": float("nan")}]}, "seconds must be a number"),
        ({"name": "ann", "votes": [VOTE | {"at": "now"}]}, "at must be a whole number"),
        ({"name": "ann", "votes": [VOTE | {"at": 5}]}, "at must be a whole number"),
        ({"name": "ann", "votes": [VOTE | {"undo": 1}]}, "not a JSON object"),
        ({"name": "ann", "votes": [VOTE | {"undo": {"at": 1.5}}]}, "at must be a whole number"),
        ({"name": "ann", "votes": [VOTE | {"undo": {"at": 1, "former": 3}}]}, "not a JSON object"),
        ({"name": "ann", "votes": [VOTE, VOTE | {"verdict": ""}]}, "one of yes, no, unsure"),
        ([VOTE], "not a JSON object"),
    ],
)
def test_bad_votes(strict_page, request_, words):
    """A vote that is not valid is refused with a sentence, and nothing of its request is saved."""
    answer = strict_page.client.post("/t/votes", data=json.dumps(request_))

    assert (400, "text/plain") == (answer.status_code, answer.mimetype)
    assert words in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"yes", b"[" * 100_000, b'{"a": 1, "a": 2}'])
@pytest.mark.parametrize("path", ["votes", "next", "class"])
def test_a_body_that_is_no_json(strict_page, path, body):
    """It is refused with a sentence."""
    answer = strict_page.client.post(f"/t/{path}", data=body)

    assert (400, "text/plain") == (answer.status_code, answer.mimetype)


def test_a_long_body(strict_page):
    """It is refused without being read."""
    assert 413 == strict_page.client.post("/t/votes", data=b" " * (MAX_BODY + 1)).status_code


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0},
        {"n": 10**6},
        {"n": 1.5},
        {"label": 3},
        {"first_label": 4},
        {"first_label": "0"},
        {"label": -1},
        {"label": "rose"},
        {"page": ""},
        {"page": None},
        {"held": 1},
        {"held": ["1"]},
        {"name": None},
    ],
)
def test_bad_requests_for_candidates(strict_page, change):
    """They are refused with a sentence."""
    answer = strict_page.post("next", **({"name": "ann", "page": "p", "n": 3} | change))

    assert (400, "text/plain") == (answer.status_code, answer.mimetype)


def test_votes_that_cannot_be_saved(page, annotation, monkeypatch):
    """The answer says so, and the page keeps the votes."""

    def fail(changes):
        raise OSError("the disk is full: free some space")

    monkeypatch.setattr(annotation.table, "apply", fail)
    answer = page.post("votes", name="ann", votes=[VOTE])

    assert (503, "text/plain") == (answer.status_code, answer.mimetype)
    assert "The votes could not be saved: the disk is full: free some space." in answer.text


def test_pictures(page):
    """A candidate is a JPEG by its row; what has no picture is not found."""
    for path in ("pictures/0.jpg", "thumbnails/6.jpg"):
        answer = page.get(path)
        assert (200, "private, max-age=3600") == (
            answer.status_code,
            answer.headers["Cache-Control"],
        )
        assert ("JPEG", (40, 40)) == describe(answer.data)
    for path in ("pictures/7.jpg", "pictures/8.jpg", "thumbnails/9.jpg", f"pictures/{10**30}.jpg"):
        assert 404 == page.get(path).status_code
    assert 404 == page.get("photographs/0.jpg").status_code


def describe(data):
    with Image.open(BytesIO(data)) as image:
        return image.format, image.size


def test_a_damaged_picture_is_not_asked_about(page, place):
    """It is not found, and nobody gets it as the next one."""
    assert 1 in page.next()
    for path in (place / "store/images").rglob("*.png"):
        path.write_bytes(b"damaged")

    assert 404 == page.get("pictures/1.jpg").status_code
    assert 1 not in page.next()


def test_a_disk_that_fails_for_a_moment_takes_no_candidate_away(page, place, monkeypatch):
    """Nor does one that is not there; the page tries again."""
    before = page.next()
    with monkeypatch.context() as context:
        context.setattr(Store, "_read_bytes", Mock(side_effect=OSError(errno.EIO, "no answer")))
        assert 503 == page.get("pictures/1.jpg").status_code
    (place / "store").rename(place / "elsewhere")
    assert 503 == page.get("thumbnails/1.jpg").status_code
    (place / "elsewhere").rename(place / "store")

    assert 200 == page.get("pictures/1.jpg").status_code
    assert before == page.next()


def test_sizes_of_pictures():
    """A picture is shrunk to fit, never enlarged, and keeps its shape."""
    file = BytesIO()
    Image.new("RGBA", (3000, 1500), (255, 0, 0, 0)).save(file, "PNG")

    assert ("JPEG", (LARGE, LARGE // 2)) == describe(scaled_jpeg(file.getvalue(), LARGE))
    assert ("JPEG", (THUMBNAIL, THUMBNAIL // 2)) == describe(
        scaled_jpeg(file.getvalue(), THUMBNAIL)
    )
    assert ("JPEG", (40, 40)) == describe(scaled_jpeg(noise_picture(0), LARGE))
    with pytest.raises(ValueError, match="not an image"):
        scaled_jpeg(b"no picture", LARGE)


def test_examples_are_candidates_that_show_the_class(page):
    """Without photographs, they are those of which all votes say yes."""
    assert {"pictures": []} == page.get("examples/0").json
    for name in ("ann", "bob"):
        page.vote(3, "yes", name)

    assert {"pictures": ["thumbnails/3.jpg"]} == page.get("examples/0").json
    assert 404 == page.get("examples/3").status_code


def test_examples_are_photographs(tiny, tmp_path):
    """Where the training images can be read, they are three of the class, and no others."""
    root = tiny(tmp_path / "root")
    with open_annotation("shapes", root, tmp_path / "none", None, 3) as annotation:
        page = Page(make_app(make_pages(annotation), "t", frozenset({"localhost"})).test_client())
        base = pq.read_table(root / "manifests/shapes/base.parquet").to_pylist()
        addresses = page.get("examples/2").json["pictures"]

        assert 3 == len(set(addresses))
        for address in addresses:
            row = int(address.removeprefix("photographs/").removesuffix(".jpg"))
            assert (2, "train") == (base[row]["label"], base[row]["split"])
            assert "JPEG" == describe(page.get(address).data)[0]
        validation = next(i for i, row in enumerate(base) if row["split"] == "validation")
        assert 404 == page.get(f"photographs/{validation}.jpg").status_code
        assert 404 == page.get(f"photographs/{len(base)}.jpg").status_code
        assert "JPEG" == describe(page.get("pictures/0.jpg").data)[0]


def run(*arguments):
    return CliRunner().invoke(main, ["votes", "annotate", *map(str, arguments)])


def test_errors_name_the_next_command(place, tmp_path, monkeypatch):
    """Without pictures the command says which one fetches them."""
    monkeypatch.chdir(tmp_path)
    command = f"`cnlw fetch --dataset {NAME} --root .`"
    missing = run("--dataset", NAME)
    assert 1 == missing.exit_code
    assert f"stores/{NAME}: there are no pictures to vote on" in missing.output
    assert command in missing.output

    write_store(tmp_path / "stores" / NAME, {"w0": None})
    empty = run("--dataset", NAME)
    assert 1 == empty.exit_code
    assert "none of the 9 candidates of plants has a picture" in empty.output
    assert command in empty.output


def test_other_errors_of_the_command(place):
    """Unknown datasets, bad names and ports in use are errors of one line."""
    store = ("--store", place / "store")
    assert "Did you mean 'plants'" in run("--dataset", "plant", "--root", place, *store).output
    assert "is never changed" in run("--dataset", "shapes", "--root", place).output
    named = run("--dataset", NAME, "--root", place, *store, "--annotator", "x" * 300)
    assert (1, True) == (named.exit_code, "at most 200 characters" in named.output)
    with PageServer(make_pages_of_nothing()) as server:
        busy = run("--dataset", NAME, "--root", place, *store, "--port", server.port)
        assert (1, True) == (busy.exit_code, "a port that is free" in busy.output)


def make_pages_of_nothing():
    import flask

    return flask.Blueprint("nothing", __name__)


def test_a_page_has_the_same_port_each_time():
    """A browser finds again what the page stored; if the port is in use, another one serves."""
    purpose = "votes of test_annotate"
    with open_server(make_pages_of_nothing(), "127.0.0.1", None, purpose) as first:
        with open_server(make_pages_of_nothing(), "127.0.0.1", None, purpose) as second:
            assert first.port != second.port
        assert first.port == usual_port(purpose)


def test_copies_of_validation_images_are_not_asked_about(tmp_path, monkeypatch):
    """With the photographs at hand, a candidate that looks like a validation image is left out."""
    monkeypatch.chdir(tmp_path)
    for label, name in enumerate(["oak", "rose"]):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            path = tmp_path / "photos" / name / f"{i}.png"
            path.write_bytes(noise_picture(100 * label + i))
    imported = CliRunner().invoke(
        main, ["import", "folder", "photos", "--as", NAME, "--root", "my", "--validation", "20"]
    )
    assert 0 == imported.exit_code, imported.output
    base = pq.read_table("my/manifests/plants/base.parquet").to_pylist()
    copied = next(row for row in base if row["split"] == "validation")
    picture = (tmp_path / "photos" / copied["image_id"]).read_bytes()
    write_store(tmp_path / "store", {"w0": picture, "w1": noise_picture(999)})
    web = pa.Table.from_pylist([candidate("w0", 0), candidate("w1", 1)], MANIFEST)
    pq.write_table(web, "my/manifests/plants/web.parquet")

    photos = tmp_path / "photos"
    steps = []
    bars = lambda *step: steps.append(step)  # noqa: E731
    places = (Path("my"), tmp_path / "store", photos)
    with open_annotation(NAME, *places, 3, progress=bars) as annotation:
        assert [("compare", 0, 1), ("compare", 1, 1)] == steps
        assert [False, True] == annotation.is_available.tolist()
        assert [False, True] == annotation.candidates.is_asked.tolist()
        assert 3 == len(annotation.examples(1))
        assert "JPEG" == describe(annotation.photographs.thumbnail(0))[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_the_next_one(place, monkeypatch, number):
    """It prints the address and where votes go, and at the end their number and what to do next."""
    run_server = PageServer.run

    def run_with_a_person(server):
        person = threading.Thread(target=vote_and_stop, args=(server.address, number))
        person.start()
        run_server(server)
        person.join()

    monkeypatch.setattr(PageServer, "run", run_with_a_person)
    ended = run("--dataset", NAME, "--root", place, "--store", place / "store", "--port", 0)

    assert 0 == ended.exit_code, ended.output
    lines = ended.output.splitlines()
    assert re.fullmatch(r"page: http://127\.0\.0\.1:\d+/[\w-]{22}/", lines[0])
    assert f"votes go to {place}/annotations/{NAME}/votes.parquet at once" == lines[1]
    assert "stopped: 1 vote given on this page" == lines[-3]
    report = f"cnlw votes report --dataset {NAME} --root {place} --store {place / 'store'}"
    assert ["next:", report] == lines[-2:]
    assert {("w0", "1"): True} == stored(place)


def vote_and_stop(address, number):
    body = json.dumps({"name": "ann", "votes": [VOTE]}).encode()
    try:
        urllib.request.urlopen(f"{address}votes", body).close()  # noqa: S310
    finally:
        os.kill(os.getpid(), number)


def test_other_computers(capsys):
    """A page that others can reach is announced with a warning; one for this computer is not."""
    warn_of_others("127.0.0.1")
    assert "" == capsys.readouterr().err
    warn_of_others("0.0.0.0")  # noqa: S104
    assert "the votes travel unencrypted" in capsys.readouterr().err


def test_pictures_of_a_pack(place):
    """A pack of the store has the same pictures."""
    with Store(place / "store") as store:
        pack_store(store, place / "pack")
    with open_annotation(NAME, place, place / "pack", None, 2) as annotation:
        page = Page(make_app(make_pages(annotation), "t", frozenset({"localhost"})).test_client())
        assert {0, 1, 2, 3, 4, 5} == {*page.next()}
        assert ("JPEG", (40, 40)) == describe(page.get("pictures/0.jpg").data)
