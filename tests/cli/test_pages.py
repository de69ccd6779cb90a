"""`cnlw show --gallery` and `cnlw votes review`: what they write, and which options exclude others."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from cnlw_tools.builds.build import build
from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.store.join import join_stores
from cnlw_tools.store.store import Row, open_ledger
from cnlw_tools.store.writer import open_writer
from tests.browser.scripts import read_script
from tests.browser.test_numbered_pictures import encode


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    return tiny(tmp_path_factory.mktemp("pages") / "root")


@pytest.fixture(scope="module")
def built(root: Path) -> Path:
    keys = {"dataset": "shapes", "noise": "red", "levels": [20, 40]}
    build(parse_recipe(keys, "the test"), Inputs(root), root.parent / "build")
    return root.parent / "build"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with open_ledger(tmp_path / "store") as ledger:
        for number in range(3):
            ledger.write_row(Row(f"i{number}", "http://x/", "http_404", "HTTP 404", 1, 1.0))
        ledger.write_row(Row("j", None, "no_uri", "no address", 0, 1.0))
    return tmp_path / "store"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def read_items(folder: Path) -> dict:
    return read_script((folder / "items.js").read_text(encoding="utf-8"))


def test_a_gallery_becomes_a_folder(built: Path, tmp_path: Path) -> None:
    """Of one config, with near duplicates as a further choice; the command warns of rights."""
    out = tmp_path / "page"
    result = run("show", built, "--gallery", "--config", "red_20", "--duplicates", "--out", out)

    assert result.exit_code == 0, result.output
    assert f"{out / 'index.html'}: gallery of {built}" in result.output
    assert "belong to other people" in result.output
    items = read_items(out)
    assert len([*(out / "pictures").iterdir()]) == items["count"] > 0
    assert "duplicates" in [choice["name"] for choice in items["filters"]]
    assert items["columns"]["place"]["fields"]["config"]["values"] == ["red_20"]


def test_a_review_becomes_a_folder(root: Path, tmp_path: Path, monkeypatch) -> None:
    """The embedded dataset draws its candidates, so it needs no store."""
    monkeypatch.chdir(tmp_path)
    result = run("votes", "review", "--dataset", "shapes", "--root", root, "--out", "page")

    assert result.exit_code == 0, result.output
    web = tables.read_manifest(root / "manifests" / "shapes" / "web.parquet", 10, web=True)
    assert read_items(tmp_path / "page")["count"] == len(web)


def test_a_store_is_shown(store: Path, tmp_path: Path) -> None:
    """The outcomes as text, and the page with --gallery."""
    result = run("show", store)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines == [["http_404", "3", "URLs"], ["no_uri", "1", "URL"]]

    result = run("show", store, "--gallery", "--out", tmp_path / "page")
    assert result.exit_code == 0, result.output
    assert read_items(tmp_path / "page")["count"] == 4


def test_a_store_at_an_address_is_shown(store: Path, tmp_path: Path, memory: object) -> None:
    """With its pictures, and not by the name of its copy in the cache."""
    image = encode(1)
    details = {"sha256": sha256(image).hexdigest(), "size": len(image), "format": "png"}
    with open_writer("memory://bucket/web") as writer:
        join_stores([store], writer.ledger)
        writer.ledger.write_image("k", "png", image)
        writer.ledger.write_row(Row("k", "http://x/", "ok", None, 1, 1.0, source="uri", **details))
        writer.finish()

    result = run("show", "memory://bucket/web", "--gallery", "--out", tmp_path / "page")

    assert result.exit_code == 0, result.output
    assert "gallery of memory://bucket/web" in result.output
    items = read_items(tmp_path / "page")
    assert (5, "web") == (items["count"], items["title"])
    assert items["about"] == "1 image of 5 addresses of the store memory://bucket/web"
    assert [image] == [path.read_bytes() for path in tmp_path.glob("page/**/*.png")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gallery", "--image", "x"], "--gallery and --image cannot be used together"),
        (["--gallery", "--matrix", "m.png"], "--gallery and --matrix cannot be used together"),
        (["--image", "x", "--matrix", "m.png"], "--image and --matrix cannot be used together"),
        (["--runs", "."], "--runs needs --gallery"),
        (["--duplicates"], "--duplicates needs --gallery"),
        (["--out", "page"], "--out needs --image or --gallery"),
    ],
)
def test_options_that_do_not_go_together(built: Path, options: list[str], words: str) -> None:
    """A usage error names them."""
    result = run("show", built, *options)

    assert result.exit_code == 2
    assert words in result.output


def test_what_has_no_gallery_is_an_error(built: Path, store: Path, tmp_path: Path) -> None:
    """A store has no configs, a plan no images, and another folder is left alone before any work."""
    result = run("show", store, "--gallery", "--config", "red_20")
    assert result.exit_code == 2
    assert "store of web images" in result.output

    plan = tmp_path / "plan.parquet"
    assert run("plan", "--noise", "red", "--level", "40", "--out", plan).exit_code == 0
    result = run("show", plan, "--gallery")
    assert result.exit_code == 1
    assert "give the folder of a build" in result.output

    result = run("show", built, "--gallery", "--duplicates", "--out", tmp_path)
    assert result.exit_code == 1
    assert "another --out" in result.output


def test_a_gallery_is_served_until_it_is_stopped(built: Path) -> None:
    """At an address of this computer with a token; SIGTERM ends it, without a traceback."""
    command = [sys.executable, "-m", "cnlw_tools", "show", str(built), "--gallery"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout.readline() == f"gallery of {built}\n"
        address = process.stdout.readline().removeprefix("page: ").strip()
        assert address.startswith("http://127.0.0.1:")
        with urlopen(f"{address}items.js") as answer:  # noqa: S310
            assert read_script(answer.read().decode())["title"] == "shapes: red_20, red_40"
        with urlopen(f"{address}thumbnails/0.jpg") as answer:  # noqa: S310
            assert answer.headers["Content-Type"] == "image/png"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in errors
