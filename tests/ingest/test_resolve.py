"""What a recipe is made from; above all the store of web images."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.builds.diff import read_plans
from cnlw_tools.card.metadata import read_card
from cnlw_tools.checks import collect_evidence, validate
from cnlw_tools.cli import main
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.info import read_plan_info
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.sources import SOURCES

DEAD = 7  # of the candidates of a class


def encoded(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def web(tmp_path_factory, tiny):
    """A root whose candidates lie on a server: some are not found, one is a copy of a validation image."""
    root = tiny(tmp_path_factory.mktemp("web") / "root")
    path = root / "manifests" / "shapes" / "web.parquet"
    table = pq.read_table(path)
    base = pq.read_table(root / "manifests" / "shapes" / "base.parquet").to_pylist()
    held = next(row["image_id"] for row in base if row["split"] == "validation")
    ids = table["image_id"].to_pylist()
    source = SOURCES["shapes"](None)
    images = {f"/{i}": encoded(source.read(name)) for i, name in enumerate(ids) if i % DEAD}
    images["/1"] = encoded(source.read(held))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = images.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    at = table.column_names.index("uri")
    uris = [f"http://127.0.0.1:{server.server_port}/{i}" for i in range(len(ids))]
    pq.write_table(table.set_column(at, table.schema.field(at), [uris]), path)
    yield root, root.parent / "store", ids, images
    server.shutdown()
    server.server_close()


def fetch(root, store):
    """Fetch the candidates of a root into a store."""
    where = ["--root", str(root), "--store", str(store)]
    return CliRunner().invoke(
        main, ["fetch", "--dataset", "shapes", *where, "--allow-private", "--json"]
    )


def test_two_labs(web, tmp_path):
    """Links that died between two fetches of one manifest: `cnlw diff` lists who stands in, and a plan records it."""
    root, _, ids, images = web
    asked = parse_recipe(
        {"dataset": "shapes", "noise": "red", "levels": [20], "options": {"top": 20}}, "here"
    )
    fetch(root, tmp_path / "one")
    build(asked, Inputs(root, store=tmp_path / "one"), tmp_path / "a")
    (first,) = read_plans(tmp_path / "a").values()
    slot_of = {
        row["image_id"]: row["replaces"] for row in first.to_pylist() if row["origin"] == "web"
    }
    died = {name: images.pop(f"/{ids.index(name)}") for name in sorted(slot_of)[::9]}
    fetch(root, tmp_path / "two")
    images.update({f"/{ids.index(name)}": body for name, body in died.items()})
    build(asked, Inputs(root, store=tmp_path / "two"), tmp_path / "b")
    (second,) = read_plans(tmp_path / "b").values()
    now = {row["replaces"]: row["image_id"] for row in second.to_pylist() if row["origin"] == "web"}

    said = CliRunner().invoke(main, ["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--list"])

    lines = [line.split("\t") for line in said.stdout.splitlines()[1:]]
    slots = sorted(slot_of[name] for name in died)
    was = {slot: name for name, slot in slot_of.items()}
    assert len(died) > 1
    assert [["substituted", slot, was[slot], now[slot]] for slot in slots] == lines
    assert f"{len(died):,} differ; in image_id {len(died)}, image {len(died)}" in said.stdout
    dataset = load_dataset(asked, Inputs(root, store=tmp_path / "two"))
    recorded = read_plan_info(plan(asked, dataset, 20)).substituted
    assert {now[slot_of[name]] for name in died} <= set(recorded.values()) <= set(now.values())
    assert not recorded.keys() & set(now.values())


@pytest.mark.usefixtures("reads_back_here")
def test_from_the_web_to_a_build(web, tmp_path):
    """Fetched, built and proven: dead candidates and copies of validation images are passed over."""
    root, store, ids, _ = web
    fetched = fetch(root, store)
    asked = parse_recipe(
        {"dataset": "shapes", "noise": "red", "levels": [20], "options": {"top": 20}}, "here"
    )
    build(asked, Inputs(root, store=store), tmp_path / "with")
    build(asked, Inputs(root), tmp_path / "without")
    name = next(iter(read_card(tmp_path / "with").configs))
    rows = datasets.load_dataset(
        str(tmp_path / "with"), name, split="train", cache_dir=tmp_path / "hf"
    )
    other = datasets.load_dataset(
        str(tmp_path / "without"), name, split="train", cache_dir=tmp_path / "hf"
    )
    came = {row["image_id"]: row["image"] for row in rows if row["origin"] == "web"}
    gone = {name for i, name in enumerate(ids) if i % DEAD == 0} | {ids[1]}

    said = json.loads(fetched.stdout.splitlines()[-1])
    assert said == {"ok": len(ids) - len(gone) + 1, "errors": {"http_404": len(gone) - 1}}
    assert not came.keys() & gone
    assert {row["image_id"] for row in other if row["origin"] == "web"} & gone
    assert len(rows) == len(other)
    evidence = collect_evidence(tmp_path / "with", Inputs(files.default_root(), store=store))
    findings = [finding for check in validate(evidence) for finding in check.findings]
    assert [] == [finding for finding in findings if finding.severity == "error"]
    source = SOURCES["shapes"](None)
    assert all(
        np.array_equal(np.asarray(image), np.asarray(source.read(name)))
        for name, image in came.items()
    )


def test_a_store_that_is_none(web, tmp_path):
    """Says how to make one."""
    root, *_ = web
    asked = parse_recipe({"dataset": "shapes", "noise": "red", "levels": [20]}, "here")

    with pytest.raises(FileNotFoundError, match=r"no image store here .*`cnlw fetch`"):
        load_dataset(asked, Inputs(root, store=tmp_path / "nowhere"))
