"""What `cnlw status` says of a crawl is what a build can do."""

from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.ingest.recipes import resolve_recipe
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans import capacity
from cnlw_tools.recipe.inputs import Inputs
from tests.browser.voting import NAME, candidate, noise_picture, write_store

N_PHOTOGRAPHS, N_COPIES, N_OTHERS = 10, 2, 1  # of each class
MY = Path("my")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert 0 == result.exit_code, result.output
    return result.output


def write_crawl() -> None:
    """Write photographs, and candidates that all do not show their class.

    Some of these are the validation photographs of the class.
    """
    for label, name in enumerate(["oak", "rose"]):
        (Path("photos") / name).mkdir(parents=True)
        for i in range(N_PHOTOGRAPHS):
            path = Path("photos") / name / f"{i}.png"
            path.write_bytes(noise_picture(100 * label + i))
    run("import", "folder", "photos", "--as", NAME, "--root", "my", "--validation", "20")
    base = tables.read_manifest(MY / "manifests" / NAME / "base.parquet", 2).to_pylist()
    pictures, rows = {}, []
    for label in range(2):
        validation = [row for row in base if (row["label"], row["split"]) == (label, "validation")]
        data = [(Path("photos") / row["image_id"]).read_bytes() for row in validation[:N_COPIES]]
        data += [noise_picture(900 + 10 * label + i) for i in range(N_OTHERS)]
        for i, picture in enumerate(data):
            pictures[f"w{label}{i}"] = picture
            rows.append(candidate(f"w{label}{i}", label))
    write_store(Path("stores") / NAME, pictures)
    web = pa.Table.from_pylist(rows, MANIFEST)
    tables.write_parquet(web, MY / "manifests" / NAME / "web.parquet")
    votes = [{**row, "annotator": "1", "correct": False} for row in rows]
    (MY / "annotations" / NAME).mkdir(parents=True)
    path = MY / "annotations" / NAME / "votes.parquet"
    tables.write_parquet(pa.Table.from_pylist(votes, VOTES), path)


def test_copies_of_validation_images_count_for_nothing(tmp_path, monkeypatch):
    """No build uses them, and nobody is asked about them: neither level nor counts have them."""
    monkeypatch.chdir(tmp_path)
    write_crawl()
    inputs = Inputs(MY, Path("photos"), store=Path("stores") / NAME)
    recipe = resolve_recipe(None, {"dataset": NAME, "noise": "red"}, inputs)
    levels = capacity.highest_red_levels(recipe, load_dataset(recipe, inputs))

    said = run("status", "--dataset", NAME, "--root", "my")
    assert f"up to {np.min(levels)} %" in said
    assert "to vote on   2 candidates; left out: 4 without a usable image" in said
    assert f"up to {np.min(levels)} %" in run("status", "--root", "my")
    report = run("votes", "report", "--dataset", NAME, "--root", "my")
    assert f"red noise of all classes: up to {np.min(levels)} %" in report


def test_a_review_with_photographs_shows_candidates_of_the_usual_store(tmp_path, monkeypatch):
    """--data-dir says where photographs are, and candidates are not among them."""
    monkeypatch.chdir(tmp_path)
    write_crawl()
    options = ("--dataset", NAME, "--root", "my", "--data-dir", "photos", "--out", "page")
    run("votes", "review", *options)

    assert 2 * (N_COPIES + N_OTHERS) == len(list(Path("page/pictures").iterdir()))


def test_one_damaged_dataset_hides_no_other(tmp_path, monkeypatch):
    """Each has its line in the list of all datasets, and the exit code says that one is damaged."""
    monkeypatch.chdir(tmp_path)
    write_crawl()
    copytree(MY / "manifests" / NAME, MY / "manifests" / "damaged")
    (MY / "manifests" / "damaged" / "web.parquet").write_text("junk")

    result = CliRunner().invoke(main, ["status", "--root", "my"])
    lines = result.output.splitlines()
    assert 1 == result.exit_code
    assert "web.parquet cannot be read" in lines[0]
    assert lines[1].startswith(f"{NAME:20} 6 candidates")
    assert "my: damaged cannot be read" in result.output
