"""Web images are compared with the store that they came from, as CIFAR-10 has none of its own."""

import json
import re
import shutil
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.builds.rebuild import rebuild
from cnlw_tools.card import metadata
from cnlw_tools.checks import CHECKS, Finding, collect_evidence
from cnlw_tools.checks.collect import _read_original as read_original
from cnlw_tools.cli import main
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.images.pixels import Storage, encode_picture, fingerprint
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.sources.folder import Folder
from cnlw_tools.store.pack import pack_store
from cnlw_tools.store.store import Row, Store, open_ledger

CLASSES, EACH = 10, 8  # web images of each class, all of them wrong
SAID = {"dataset": "cifar10", "noise": "red", "levels": [20], "options": {"top": 20}}


def pictures(seed: int) -> Iterator[bytes]:
    """Yield files of random pixels, one a web image."""
    draw = np.random.default_rng(seed)
    for _ in range(CLASSES * EACH):
        out = BytesIO()
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(out, "PNG")
        yield out.getvalue()


def make_store(folder: Path, ids: list[str], seed: int, keep: Storage | None = None) -> Path:
    """Write a store that holds these images, or what builds like ``keep`` store for them."""
    with open_ledger(folder) as ledger:
        for image_id, data in zip(ids, pictures(seed), strict=False):
            file = encode_picture(data, keep) if keep else data
            mtime = ledger.write_image(image_id, "png", file)
            columns: dict[str, Any] = {}
            if keep:
                columns = {
                    "kept": keep.options,
                    "kept_sha256": sha256(file).hexdigest(),
                    "kept_size": len(file),
                    "kept_format": "png",
                }
            look = fingerprint(Image.open(BytesIO(data)).convert("RGB"))
            digest = sha256(data).hexdigest()
            ledger.write_row(
                Row(
                    image_id,
                    "x",
                    "ok",
                    None,
                    1,
                    0.0,
                    "x",
                    200,
                    None,
                    digest,
                    len(data),
                    "png",
                    32,
                    32,
                    look,
                    mtime,
                    **columns,
                )
            )
    return folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, cifar: Path) -> Path:
    """A folder with `root`, `store` and a `build` of them that has 60 web images."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("manifests", "annotations"):
        (folder / "root" / name / "cifar10").mkdir(parents=True)
    manifests, annotations = (
        folder / "root" / name / "cifar10" for name in ("manifests", "annotations")
    )
    shutil.copy(files.default_root() / "manifests/cifar10/classes.csv", manifests)
    web: list[dict[str, Any]] = [
        {"image_id": f"w{i}", "label": i % CLASSES, "split": "web"} for i in range(CLASSES * EACH)
    ]
    votes = [
        {"image_id": w["image_id"], "label": w["label"], "annotator": "a", "correct": False}
        for w in web
    ]
    pq.write_table(pa.Table.from_pylist(web, MANIFEST), manifests / "web.parquet")
    pq.write_table(pa.Table.from_pylist(votes, VOTES), annotations / "votes.parquet")
    make_store(folder / "store", [w["image_id"] for w in web], 0)
    build(
        parse_recipe(SAID, "the test"),
        Inputs(folder / "root", cifar, store=folder / "store"),
        folder / "build",
    )
    return folder


def source(build: Path, data_dir: Path | None, store: Path | str | None) -> list[Finding]:
    """Return what the check of the sources says; it has to apply."""
    (check,) = (c for c in CHECKS if c.name == "source")
    found = collect_evidence(build, Inputs(files.default_root(), data_dir, store=store))
    assert check.reason_to_skip(found) is None
    return list(check.run(found))


def web_ids(build: Path) -> list[str]:
    """Return the ids of the web images of a build."""
    tables = [
        pq.read_table(path, columns=["origin", "image_id"])
        for path in (build / "data").glob("*.parquet")
    ]
    return [
        row["image_id"] for table in tables for row in table.to_pylist() if row["origin"] == "web"
    ]


def test_web_images_are_the_store_s(lab: Path, cifar: Path) -> None:
    """With images and store at hand nothing is wrong, and everything was compared."""
    assert source(lab / "build", cifar, lab / "store") == []


@pytest.mark.parametrize("place", ["folder", "memory://bucket/pack"])
def test_a_pack_stands_for_its_store(
    place: str, lab: Path, cifar: Path, memory: object, tmp_path: Path
) -> None:
    """A build from it has the same bytes, and is compared with it."""
    place = str(tmp_path / place) if place == "folder" else place
    with Store(lab / "store") as store:
        pack_store(store, place)
    said = parse_recipe(SAID, "a test")

    build(said, Inputs(lab / "root", cifar, store=place), tmp_path / "build")

    old, new = metadata.read_card(lab / "build"), metadata.read_card(tmp_path / "build")
    assert old == new
    assert source(lab / "build", cifar, place) == []


def test_web_images_without_their_store(lab: Path, cifar: Path) -> None:
    """Are no error: a note says how many were not compared, and how to."""
    (finding,) = source(lab / "build", cifar, None)

    assert (finding.severity, finding.count, finding.fix) == (
        "note",
        len(web_ids(lab / "build")),
        "give --store",
    )
    assert finding.message.startswith("web images were not compared, such as w")


def test_a_rebuild_without_the_store(lab: Path, cifar: Path, tmp_path: Path) -> None:
    """Names --store as the remedy for each web image; with the store, it makes the same files."""
    found = rebuild(lab / "build", Inputs(lab / "root", cifar), tmp_path / "out")

    assert sorted(row.image_id for row in found.rows) == sorted({*web_ids(lab / "build")})
    for row in found.rows:
        assert row.reason.startswith("a web image, not among your images: ")
        assert "--store" in row.reason
    inputs = Inputs(lab / "root", cifar, store=lab / "store")
    assert rebuild(lab / "build", inputs, tmp_path / "out").is_same


def test_web_images_that_are_another_store_s(lab: Path, cifar: Path, tmp_path: Path) -> None:
    """Each is an error, be it another image there or none."""
    ids = sorted(web_ids(lab / "build"))
    other = make_store(tmp_path / "other", ids[:20], 1)
    findings = source(lab / "build", cifar, other)

    assert [f.severity for f in findings] == ["error"] * len(ids)
    assert sorted(f.message.split(" ")[0] for f in findings) == ids


def test_a_store_without_the_images(lab: Path, tmp_path: Path) -> None:
    """Is compared with all the same; a note says that the dataset's own images were not, or where else to look."""
    ids = sorted(web_ids(lab / "build"))
    (own,) = source(lab / "build", None, lab / "store")
    part = make_store(tmp_path / "part", ids[:20], 1)
    findings = source(lab / "build", None, part)

    assert (own.severity, own.fix) == ("note", "give --data-dir")
    assert own.message.startswith(
        "images of cifar10 itself were not compared: cifar10 needs --data-dir"
    )
    assert [f.severity for f in findings] == ["error"] * 20 + ["note"] * 2
    assert (findings[-1].count, findings[-1].fix) == (len(ids) - 20, "give --data-dir")


def test_images_that_a_resize_made_equal(lab: Path, cifar: Path, tmp_path: Path) -> None:
    """Are a note where they were compared with the source; without the store, web images were not."""
    said = parse_recipe({**SAID, "size": 1}, "the test")
    build(said, Inputs(lab / "root", cifar, store=lab / "store"), tmp_path / "build")
    found = collect_evidence(tmp_path / "build", Inputs(files.default_root(), cifar))
    complete = collect_evidence(
        tmp_path / "build", Inputs(files.default_root(), cifar, store=lab / "store")
    )
    web, own = web_ids(tmp_path / "build")[0], "train-00000"

    assert not found.may_be_equal(web, own)
    assert found.may_be_equal(own, "train-00001")
    assert complete.may_be_equal(web, own)


def test_images_that_were_kept_at_the_size_of_the_build(
    lab: Path, cifar: Path, tmp_path: Path
) -> None:
    """The build has the bytes of one from originals and is valid; another size is refused."""
    kept = make_store(
        tmp_path / "kept_store", [f"w{i}" for i in range(CLASSES * EACH)], 0, Storage(16)
    )
    shards = []
    for name, store in (("originals", lab / "store"), ("kept", kept)):
        inputs = Inputs(lab / "root", cifar, store=store)
        build(parse_recipe({**SAID, "size": 16}, "the test"), inputs, tmp_path / name)
        shards.append(metadata.read_card(tmp_path / name).shards)

    assert shards[0] == shards[1]
    assert source(tmp_path / "originals", cifar, kept) == []
    message = (
        "kept_store: its images were resized for builds with --size 16 --resize squash --quality 95, "
        "but this build has {}: build with those options, or fetch the images again with "
        "`cnlw fetch --store NEW{}`"
    )
    with pytest.raises(ValueError, match=re.escape(message.format("no --size", ""))):
        source(lab / "build", cifar, kept)
    options = "--resize pad --quality 95"
    message = message.format(f"--size 8 {options}", f" --keep 8 {options}")
    recipe = parse_recipe({**SAID, "size": 8, "resize": "pad"}, "the test")
    with pytest.raises(ValueError, match=re.escape(message)):
        build(recipe, inputs, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def ask(lab: Path, cifar: Path, *more: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(
        main,
        [
            "validate",
            str(lab / "build"),
            "--data-dir",
            str(cifar),
            "--workers",
            "1",
            "--json",
            *more,
        ],
    )


@pytest.mark.usefixtures("reads_back_here")
def test_the_command(lab: Path, cifar: Path, tmp_path: Path) -> None:
    """Takes --store, and is content without; a folder that is no store is neither."""
    whole, part = ask(lab, cifar, "--store", str(lab / "store")), ask(lab, cifar)
    none = ask(lab, cifar, "--store", str(tmp_path / "none"))
    findings = [f for f in json.loads(part.stdout)["findings"] if f["check"] == "source"]

    assert (whole.exit_code, part.exit_code, none.exit_code) == (0, 0, 2)
    assert [f["severity"] for f in findings] == ["note"]
    assert not [f for f in json.loads(whole.stdout)["findings"] if f["check"] == "source"]
    assert "no image store here" in none.stderr
    assert set(metadata.read_card(lab / "build").configs) == {"red_20_t20"}


@pytest.mark.parametrize("image_id", ["x" * 300, "rose", "rose/0.jpg/x", "https://a.example/0.jpg"])
def test_ids_of_web_images_that_are_no_paths(tmp_path: Path, image_id: str) -> None:
    """A folder of the user's has no such file: without the store the image is not compared."""
    (tmp_path / "rose").mkdir()
    (tmp_path / "rose/0.jpg").write_bytes(next(pictures(0)))
    reader = CompositeReader(Folder(tmp_path), {})

    assert read_original(reader, image_id, frozenset(), "web") is None
    with pytest.raises((LookupError, OSError)):
        read_original(reader, image_id, frozenset(), "base")
