"""Every fault is found by what the data say, even where every recorded hash has been made to match."""

import errno
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from io import BytesIO
from itertools import takewhile
from pathlib import Path

import datasets
import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.card import metadata, render
from cnlw_tools.card.about import About
from cnlw_tools.checks import (
    CHECKS,
    Finding,
    collect_evidence,
    evidence,
    pixels,
    roundtrip,
    validate,
)
from cnlw_tools.checks import run_checks as run_all
from cnlw_tools.cli import main
from cnlw_tools.dataset import (
    dataset,
    hashing,
    row_numbers,
    row_selection,
    shared_chunks,
    table_io,
    tables,
)
from cnlw_tools.plans import assemble
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, parse_recipe
from tests.checks.conftest import QUICK_CHECKS, run_checks
from tests.shard_files import write_shard


def quiet(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def errors(folder: Path, names: Collection[str] = QUICK_CHECKS) -> set[str]:
    """Return the names of the checks that find an error; the round trip is slow and tested below."""
    findings = run_checks(collect_evidence(folder), names)
    return {name for name, finding in findings if finding.severity == "error"}


def told(folder: Path, name: str) -> list[Finding]:
    """Return what one check says."""
    (check,) = (c for c in CHECKS if c.name == name)
    return list(check.run(collect_evidence(folder)))


def recorded_anew(folder: Path) -> None:
    """Make every recorded hash, count and digest match what lies there."""
    said = metadata.read_card(folder)
    found = dataset.read_tables("shapes", folder / "tables", folder / "tables")
    configs = {}
    for name, config in said.configs.items():
        drawn = plan(config.recipe, found, config.level)
        configs[name] = replace(config, digest=hashing.digest(drawn))
    shards = {p.name: files.digest(p) for p in sorted((folder / "data").glob("*.parquet"))}
    render.write_card(
        folder,
        replace(said, shards=shards, tables=found.digests, configs=configs),
        found.classes,
    )


def shard(folder: Path, config: str, noisy: bool, split: str = "train") -> Path:
    """Return a shard of a config that holds noisy rows, or clean ones."""
    for segment in metadata.read_card(folder).configs[config].segments[split]:
        for path in (folder / "data").glob(f"{segment}-*.parquet"):
            if bool(pq.read_table(path)["is_noisy"][0].as_py()) == noisy:
                return path
    raise AssertionError("no such shard")


def change(path: Path, edit: Callable[[dict[str, object]], None], row: int = 0) -> None:
    """Change one row of a shard."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    edit(rows[row])
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)


def image_of(path: Path, row: int = 0) -> bytes:
    data: bytes = pq.read_table(path)["image"][row].as_py()["bytes"]
    return data


def test_a_build_as_it_was_made_has_no_errors(whole: Path) -> None:
    """Nothing is wrong with a build that nobody spoiled, and every check applies to it."""
    results = list(validate(collect_evidence(whole)))
    findings = [finding for result in results for finding in result.findings]

    assert [] == [finding for finding in findings if finding.severity == "error"]
    assert [] == [(result.name, result.skipped) for result in results if result.skipped]


def test_recording_anew_changes_nothing_in_a_sound_build(copy: Path) -> None:
    """The tool of these tests does no harm of its own."""
    recorded_anew(copy)

    assert set() == errors(copy)


def flip_label(folder: Path) -> None:
    change(shard(folder, "red_40", False), lambda r: r.update(label=(r["label"] + 1) % 10))  # type: ignore[operator]


def flip_label_and_say_so(folder: Path) -> None:
    def edit(r):
        r.update(label=(r["label"] + 1) % 10, is_noisy=True)

    change(shard(folder, "blue_40", False), edit)


def wrong_truth(folder: Path) -> None:
    def edit(r):
        r.update(label=(r["label"] + 1) % 10, clean_label=(r["clean_label"] + 1) % 10)

    change(shard(folder, "red_40", False), edit)


def label_out_of_range(folder: Path) -> None:
    path = shard(folder, "red_40", False)
    change(path, lambda r: r.update(label=-3))


def drop_row(folder: Path) -> None:
    path = shard(folder, "red_20", True)
    pq.write_table(pq.read_table(path)[1:], path)


def row_twice(folder: Path) -> None:
    path = shard(folder, "red_20", True)
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table[:1]]), path)


def validation_image_in_train(folder: Path) -> None:
    data = image_of(shard(folder, "red_40", False, "validation"))
    change(shard(folder, "red_40", True), lambda r: r.update(image={"bytes": data, "path": None}))


def other_image_under_an_id(folder: Path) -> None:
    paths = sorted((folder / "data").glob("*.parquet"))
    ids = {path: pq.read_table(path)["image_id"].to_pylist() for path in paths}
    path, row = next(
        (p, ids[p].index(i)) for p in paths for q in paths for i in ids[q] if p != q and i in ids[p]
    )
    data = image_of(path, (row + 1) % len(ids[path]))
    change(path, lambda r: r.update(image={"bytes": data, "path": None}), row)


def replaced_image_comes_back(folder: Path) -> None:
    path = shard(folder, "red_40", True)
    gone = pq.read_table(path)["replaces"][0].as_py()
    for other in (folder / "data").glob("*.parquet"):
        table = pq.read_table(other)
        at = np.flatnonzero(pc.equal(table["image_id"], gone).to_numpy())
        if len(at):
            image = {"bytes": image_of(other, int(at[0])), "path": None}
            change(path, lambda r, image=image: r.update(image=image))  # type: ignore[misc]
            return
    raise AssertionError("the replaced image is nowhere")


def right_image_as_noise(folder: Path) -> None:
    found = dataset.read_tables("shapes", folder / "tables", folder / "tables")
    path = shard(folder, "red_40", True)
    label = pq.read_table(path)["label"][0].as_py()
    wrong = set(found.web_pool(1)["image_id"].to_pylist())
    right = [
        r["image_id"]
        for r in found.web.to_pylist()
        if r["label"] == label and r["image_id"] not in wrong
    ]
    change(path, lambda r: r.update(image_id=right[0]))


def pictures_swapped(folder: Path) -> None:
    path = shard(folder, "red_40", False, "validation")
    images = [{"bytes": image_of(path, i), "path": None} for i in (1, 0)]
    for row, image in enumerate(images):
        change(path, lambda r, image=image: r.update(image=image), row)  # type: ignore[misc]


def one_pixel_marked(folder: Path) -> None:
    path = shard(folder, "red_40", True)
    image = Image.open(BytesIO(image_of(path))).convert("RGB")
    image.putpixel((0, 0), (255, 0, 255))
    out = BytesIO()
    image.save(out, "PNG")
    change(path, lambda r: r.update(image={"bytes": out.getvalue(), "path": None}))


def truncated_image(folder: Path) -> None:
    path = shard(folder, "red_40", True)
    data = image_of(path)
    change(path, lambda r: r.update(image={"bytes": data[: len(data) // 2], "path": None}))


def no_bytes(folder: Path) -> None:
    change(
        shard(folder, "red_40", True),
        lambda r: r.update(image={"bytes": None, "path": "elsewhere.png"}),
    )


def lost_shard(folder: Path) -> None:
    shard(folder, "red_40", True).unlink()


def truncated_shard(folder: Path) -> None:
    path = shard(folder, "red_40", True)
    path.write_bytes(path.read_bytes()[:-100])


def no_features(folder: Path) -> None:
    path = shard(folder, "red_40", True)
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)


def no_label(folder: Path) -> None:
    change(shard(folder, "red_40", True), lambda r: r.update(label=None))


def votes_changed(folder: Path) -> None:
    path = folder / "tables" / "votes.parquet"
    table = pq.read_table(path)
    yes = pa.array([True] * len(table))
    tables.write_parquet(
        table.set_column(table.schema.get_field_index("correct"), "correct", yes), path
    )


def noise_in_validation(folder: Path) -> None:
    def edit(r):
        r.update(label=(r["label"] + 1) % 10, is_noisy=True)

    change(shard(folder, "red_40", False, "validation"), edit)


def level_without_noise_of_a_lower_one(folder: Path) -> None:
    card = metadata.read_card(folder)
    low, high = card.configs["red_20"].segments["train"], card.configs["red_40"]
    path = shard(folder, "red_20", True)
    (shared,) = {path.name.partition("-")[0]} & {*low} & {*high.segments["train"]}
    left = [segment for segment in high.segments["train"] if segment != shared]
    changed = replace(high, segments={**high.segments, "train": left})
    configs = {**card.configs, "red_40": changed}
    classes = tables.read_classes(folder / "tables" / "classes.csv")
    render.write_card(folder, replace(card, configs=configs), classes)


FAULTS = {
    level_without_noise_of_a_lower_one: {"nested", "counts", "rows"},
    flip_label: {"rows", "flags"},
    flip_label_and_say_so: {"rows", "rate"},
    wrong_truth: {"rows", "true_labels"},
    label_out_of_range: {"rows", "labels"},
    drop_row: {"counts", "rows", "rate"},
    row_twice: {"counts", "rows", "duplicates"},
    validation_image_in_train: {"duplicates"},
    other_image_under_an_id: {"contents", "duplicates"},
    replaced_image_comes_back: {"replacements"},
    right_image_as_noise: {"verdicts", "rows"},
    pictures_swapped: {"source"},
    one_pixel_marked: {"source"},
    truncated_image: {"decode"},
    no_bytes: {"decode"},
    lost_shard: {"counts", "rows"},
    truncated_shard: {"hashes", "rows"},
    no_features: {"schema"},
    no_label: {"hashes", "rows"},
    votes_changed: {"verdicts"},
    noise_in_validation: {"flags", "rows"},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_a_fault_is_found_by_what_the_data_say(copy: Path, fault: Callable[[Path], None]) -> None:
    """With every recorded hash made to match, the checks that look at the data still find the fault."""
    fault(copy)
    if fault is not truncated_shard and fault is not votes_changed:
        recorded_anew(copy)

    assert errors(copy, FAULTS[fault]) == FAULTS[fault]


MANY_FAULTS = (
    flip_label,
    wrong_truth,
    row_twice,
    validation_image_in_train,
    other_image_under_an_id,
    right_image_as_noise,
)


def test_parts_of_a_few_rows_find_the_same_faults(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same counts and texts, but for the row that stands as an example."""
    for fault in MANY_FAULTS:
        fault(copy)
    recorded_anew(copy)

    def find() -> list[tuple[str, Finding]]:
        findings = []
        for name, finding in run_checks(collect_evidence(copy)):
            message = finding.message.partition(", such as ")[0]
            findings.append((name, replace(finding, message=message)))
        return findings

    expected = find()
    for module, name in (
        (row_numbers, "PART_ROWS"),
        (row_selection, "BLOCK_ROWS"),
        (pixels, "BLOCK_ROWS"),
        (shared_chunks, "CHUNK_ROWS"),
        (assemble, "CHUNK_ROWS"),
        (evidence, "CHUNK_ROWS"),
        (table_io, "CHUNK_ROWS"),
    ):
        monkeypatch.setattr(module, name, 7)

    assert expected == find()
    assert {"rows", "contents", "duplicates", "true_labels"} < {name for name, _ in expected}


def test_an_image_that_was_encoded_again_is_a_near_duplicate(copy: Path) -> None:
    """A marked copy of one image under the id of another is listed, as a note."""
    path = shard(copy, "red_40", True)
    image = Image.open(BytesIO(image_of(path, 1))).convert("RGB")
    image.putpixel((0, 0), (255, 0, 255))
    out = BytesIO()
    image.save(out, "PNG")
    change(path, lambda r: r.update(image={"bytes": out.getvalue(), "path": None}))
    ids = pq.read_table(path)["image_id"][:2].to_pylist()

    (finding,) = [f for f in told(copy, "near_duplicates") if "within" in f.message]
    assert finding.severity == "note"
    assert any(f"{a} ~ {b}" in finding.message for a, b in (ids, ids[::-1]))
    command = f"`cnlw show {copy} --image "
    assert command in finding.fix


def test_a_changed_byte_is_found_by_the_recorded_hash(copy: Path) -> None:
    """A shard that was written again, with the same rows, is no longer the one on the card."""
    path = shard(copy, "red_40", True)
    pq.write_table(pq.read_table(path), path, compression="none", write_page_index=True)

    assert {"hashes"} == errors(copy)


def test_a_compressed_image_column_is_found(copy: Path) -> None:
    """Images are stored as they are, and pages are indexed, or streaming pays for it."""
    path = shard(copy, "red_40", True)
    pq.write_table(pq.read_table(path), path)
    recorded_anew(copy)

    assert {"schema"} == errors(copy)


@pytest.mark.usefixtures("reads_back_here")
def test_what_datasets_cannot_load_is_found(copy: Path) -> None:
    """The round trip reports what a reader of the build would meet."""
    for path in (copy / "data").glob("*.parquet"):
        pq.write_table(pq.read_table(path).replace_schema_metadata(), path)

    assert "the column image is not an Image" in told(copy, "roundtrip")[0].message


def test_configs_of_the_card_must_be_the_ones_it_describes(copy: Path) -> None:
    """Pointing a config at other files is an error of the card."""
    text = (copy / "README.md").read_text()
    segment = metadata.read_card(copy).configs["red_40"].segments["validation"][0]
    (copy / "README.md").write_text(text.replace(f"data/{segment}-*", "data/*"))

    assert "card" in errors(copy)


def test_a_pair_that_the_source_tables_hold_is_a_note(copy: Path) -> None:
    """Two ids with one sha256 in the base manifest are what the data are, not what the build did."""
    path = shard(copy, "red_40", False)
    data, ids = image_of(path, 1), pq.read_table(path)["image_id"][:2].to_pylist()
    for other in (copy / "data").glob("*.parquet"):
        rows = pq.read_table(other)["image_id"].to_pylist()
        if ids[0] in rows:
            change(
                other, lambda r: r.update(image={"bytes": data, "path": None}), rows.index(ids[0])
            )
    base = tables.read_manifest(copy / "tables/base.parquet", 10)
    same = pa.array(
        ["0" * 64 if i in ids else None for i in base["image_id"].to_pylist()], pa.string()
    )
    tables.write_parquet(
        base.set_column(base.schema.get_field_index("sha256"), "sha256", same),
        copy / "tables/base.parquet",
    )
    recorded_anew(copy)

    assert {"note"} == {f.severity for f in told(copy, "duplicates")}


@pytest.mark.parametrize(
    "text",
    ["", "---\n", "---\na: [\n---\n", "---\ncnlw: 3\n---\n", "---\ncnlw: {configs: {a: 1}}\n---\n"],
)
def test_a_card_that_is_none_is_no_build(copy: Path, text: str) -> None:
    """A broken card is a clear error, not a traceback of its parser."""
    (copy / "README.md").write_text(text)

    with pytest.raises(ValueError, match="not the card of a build"):
        list(validate(collect_evidence(copy)))


def test_addresses_of_annotators_are_a_finding(copy: Path) -> None:
    """A build of an earlier version may hold e-mail addresses; it should not be published."""
    path = copy / "tables/votes.parquet"
    votes = pq.read_table(path)
    column = votes.column_names.index("annotator")
    names = ["ann@lab.example", *votes["annotator"].to_pylist()[1:]]
    tables.write_parquet(
        votes.set_column(column, votes.schema.field(column), pa.array(names)), path
    )
    recorded_anew(copy)

    (finding,) = told(copy, "tables")

    assert ("error", "tables/votes", 1) == (finding.severity, finding.location, finding.count)
    assert "e-mail addresses in column 'annotator'" in finding.message


def test_tables_that_cannot_be_read_are_a_finding(copy: Path) -> None:
    """The checks that need no tables still run."""
    (copy / "tables" / "base.parquet").write_bytes(b"nothing")

    results = run_all(collect_evidence(copy))
    first = takewhile(lambda result: result.name != "decode", results)
    by_name = {result.name: result for result in first}

    assert "error" == by_name["tables"].findings[0].severity
    assert "the tables cannot be read" == by_name["rows"].skipped
    assert (by_name["hashes"].skipped, by_name["hashes"].findings) == (None, [])


def test_an_image_path_could_tell_of_noise(copy: Path) -> None:
    """A path beside the bytes is an error, whatever the hashes say."""
    path = shard(copy, "red_40", True)
    table = pq.read_table(path)
    images = table["image"].combine_chunks()
    paths = pa.array(["noisy.png"] * len(table))
    told = pa.StructArray.from_arrays(
        [images.field("bytes"), paths], fields=list(table.schema.field("image").type)
    )
    pq.write_table(
        table.set_column(0, table.schema.field(0), told),
        path,
        compression="none",
        write_page_index=True,
    )
    recorded_anew(copy)

    assert "schema" in errors(copy)


def test_rows_in_an_order_that_tells_of_noise(copy: Path) -> None:
    """Rows sorted by label are the same rows, but not in key order."""
    for path in (copy / "data").glob("*.parquet"):
        table = pq.read_table(path).sort_by([("label", "ascending"), ("image_id", "ascending")])
        pq.write_table(table, path, compression="none", write_page_index=True)
    recorded_anew(copy)

    assert errors(copy) == {"segments"}


def test_a_config_under_another_name(copy: Path) -> None:
    """red_20 that holds 40 % is an error though every row is as planned."""
    text = (copy / "README.md").read_text()
    (copy / "README.md").write_text(
        text.replace("red_20", "red_xx").replace("red_40", "red_20").replace("red_xx", "red_40")
    )

    assert "card" in errors(copy)


def test_a_card_that_describes_nothing(copy: Path) -> None:
    """A config whose recipe cannot be drawn is an error, and no traceback."""
    card = metadata.read_card(copy)
    config = replace(card.configs["red_40"], recipe=Recipe("shapes", "purple"))
    text = metadata.front_matter(replace(card, configs={"red_40": config}), {})
    (copy / "README.md").write_text(text)

    assert "plans" in errors(copy)


@pytest.mark.parametrize("size", ["null\n    sizes: 3", "big", "[1]", "0", "9999"])
def test_a_card_of_odd_images(copy: Path, size: str) -> None:
    """How images are stored is read as strictly as a recipe."""
    text = (copy / "README.md").read_text()
    (copy / "README.md").write_text(text.replace("\n    size: null\n", f"\n    size: {size}\n"))

    with pytest.raises(ValueError, match=r"README\.md: .*size"):
        collect_evidence(copy)


def change_card(folder: Path, old: str, new: str) -> None:
    """Replace a text of the card wherever it stands; it has to be there."""
    text = (folder / "README.md").read_text()
    assert old in text
    (folder / "README.md").write_text(text.replace(old, new))


@pytest.mark.parametrize("claim", ["kept", "expected_kept"])
def test_a_card_that_claims_more_kept_labels(copy: Path, claim: str) -> None:
    """The shares of kept labels are those of the plan, also where the text repeats the claim."""
    card = metadata.read_card(copy)
    config = replace(card.configs["blue_40"], **{claim: (0.99, 1.0)})
    configs = {**card.configs, "blue_40": config}
    classes = tables.read_classes(copy / "tables/classes.csv")
    render.write_card(copy, replace(card, configs=configs), classes)

    assert errors(copy) == {"card"}


def test_a_licence_that_the_recipe_does_not_give(copy: Path) -> None:
    """The licence is one everywhere, and one that the package's recipes give."""
    assert errors(copy) == set()
    change_card(copy, "license: unknown", "license: mit")
    assert errors(copy) == {"card"}
    card = metadata.read_card(copy)
    classes = tables.read_classes(copy / "tables/classes.csv")
    render.write_card(copy, replace(card, about=About(licence="mit")), classes)
    assert [finding.message for finding in told(copy, "card")] == [
        "the licence is mit, but recipes of the package say apache-2.0"
    ]
    assert errors(copy) == {"card"}


def test_class_names_that_moved(copy: Path) -> None:
    """Names in another order, in tables and shards alike, are found without --data-dir."""
    swap_classes(copy)

    assert errors(copy) == {"classes", "pictures"}


def swap_classes(folder: Path) -> None:
    """Exchange two class names in the tables, in every shard, and on the card."""
    path = folder / "tables/classes.csv"
    names = list(tables.read_classes(path))
    names[0], names[1] = names[1], names[0]
    rows = pa.table({"label": pa.array(range(len(names)), pa.int32()), "name": names})
    tables.write_csv(rows, path)
    for file in (folder / "data").glob("*.parquet"):
        table = pq.read_table(file)
        write_shard(file, table, table["image"].combine_chunks().field(0).to_pylist(), names)
    recorded_anew(folder)


def test_labels_that_the_source_does_not_give(copy: Path) -> None:
    """A base manifest with two labels exchanged is found, though all else was made from it."""
    path = copy / "tables/base.parquet"
    base = tables.read_manifest(path, 10)
    labels = base["label"].to_pylist()
    labels[0] = (labels[0] + 1) % 10
    column = base.schema.get_field_index("label")
    tables.write_parquet(base.set_column(column, "label", pa.array(labels, pa.int32())), path)
    recorded_anew(copy)
    (finding,) = [f for f in told(copy, "manifest") if f.severity == "error"]

    assert base["image_id"][0].as_py() in finding.message


def change_image(folder: Path, edit: Callable[[bytes], bytes]) -> None:
    """Change the file of one image of red_40 and record it."""
    path = shard(folder, "red_40", True)
    data = edit(image_of(path))
    change(path, lambda r: r.update(image={"bytes": data, "path": None}))
    recorded_anew(folder)


def red_patch(data: bytes) -> bytes:
    image = Image.open(BytesIO(data)).convert("RGB")
    image.paste((255, 0, 0), (0, 0, image.width // 4, image.height // 4))
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def brighter(data: bytes) -> bytes:
    pixels = np.asarray(Image.open(BytesIO(data)).convert("RGB"), np.int16)
    out = BytesIO()
    Image.fromarray(np.clip(pixels + 7, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("edit", [red_patch, brighter])
def test_another_pillow_excuses_no_other_picture(
    copy: Path, edit: Callable[[bytes], bytes]
) -> None:
    """Where another Pillow is said to have made the build, small blocks may differ a little, no more."""
    change_image(copy, edit)
    change_card(copy, PIL.__version__, "11.0.0")

    assert "source" in errors(copy)


@pytest.mark.parametrize(
    ("target", "number"),
    [("pq.ParquetFile", errno.EACCES), ("dataset.read_tables", errno.EIO)],
)
def test_a_fault_of_the_machine(
    copy: Path, monkeypatch: pytest.MonkeyPatch, target: str, number: int
) -> None:
    """A file that this machine may not or cannot read is no error of the build."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"cnlw_tools.checks.collect.{target}", fail)

    with pytest.raises(OSError, match=rf"^{copy}.*: {os.strerror(number)}: check "):
        collect_evidence(copy)


def test_a_card_that_may_not_be_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says so in one line with exit code 1: the card is there."""

    def fail(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", fail)
    result = CliRunner().invoke(main, ["validate", str(copy), "--workers", "1"])

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {copy}/README.md cannot be read (Permission denied)")


def test_a_full_folder_of_temporary_files(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a fault of this machine, whatever `datasets` makes of it."""

    def fail(*_: object, **__: object) -> None:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise datasets.exceptions.DatasetGenerationError("no dataset") from error

    monkeypatch.setattr(datasets, "load_dataset", fail)

    with pytest.raises(OSError, match="No space left on device: make room there, or set TMPDIR"):
        roundtrip._load_config(copy, copy / "cache", (), "blue_40")


def test_a_file_of_the_user_beside_the_card(copy: Path) -> None:
    """Is a note; what every repository has is nothing."""
    (copy / "notes.txt").write_text("x")
    (copy / ".gitattributes").write_text("x")

    assert [(f.severity, f.count) for f in told(copy, "inventory")] == [("note", 1)]


def test_a_card_of_another_dataset(copy: Path) -> None:
    """With another dataset's name images would be compared with another source, or none."""
    text = (copy / "README.md").read_text()
    (copy / "README.md").write_text(text.replace("\n  dataset: shapes\n", "\n  dataset: flowers\n"))

    assert "card" in errors(copy)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[Path], Path]) -> Path:
    """A build of red and blue with a probe set and a verified set."""
    folder = tmp_path_factory.mktemp("parted")
    root = tiny(folder / "root")
    for noise, levels in (("red", [20, 40]), ("blue", [40])):
        said = {"dataset": "shapes", "noise": noise, "levels": levels, "probe": 2, "verified": 5}
        build(parse_recipe(said, "the test"), Inputs(root), folder / "build")
    return folder / "build"


def verdict_turned(folder: Path) -> None:
    change(
        shard(folder, "blue_40_probe2_verified5", True, "verified"),
        lambda r: r.update(is_noisy=False),
    )


def verified_made_noisier(folder: Path) -> None:
    def edit(r):
        r.update(label=(r["label"] + 1) % 10, is_noisy=True)

    change(shard(folder, "blue_40_probe2_verified5", False, "verified"), edit)


def train_image_in_verified(folder: Path) -> None:
    train = pq.read_table(shard(folder, "blue_40_probe2_verified5", False)).to_pylist()[0]
    change(shard(folder, "blue_40_probe2_verified5", False, "verified"), lambda r: r.update(train))


def web_image_of_train_in_verified_of_another_level(folder: Path) -> None:
    paths = [
        shard(folder, f"red_{level}_probe2_verified5", True, s)
        for level, s in ((40, "train"), (20, "verified"))
    ]
    both = set(metadata.read_card(folder).configs["red_20_probe2_verified5"].segments["train"])
    said = metadata.read_card(folder).configs["red_40_probe2_verified5"].segments["train"]
    late = [p for s in said if s not in both for p in (folder / "data").glob(f"{s}-*")]
    noisy = [r for p in late for r in pq.read_table(p).to_pylist() if r["is_noisy"]]
    change(paths[1], lambda r: r.update(image=noisy[0]["image"], image_id=noisy[0]["image_id"]))


def right_image_as_noise_in_verified(folder: Path) -> None:
    found = dataset.read_tables("shapes", folder / "tables", folder / "tables")
    path = shard(folder, "red_40_probe2_verified5", True, "verified")
    label = pq.read_table(path)["label"][0].as_py()
    wrong = set(found.web_pool(1)["image_id"].to_pylist())
    right = [
        r["image_id"]
        for r in found.web.to_pylist()
        if r["label"] == label and r["image_id"] not in wrong
    ]
    change(path, lambda r: r.update(image_id=right[0]))


def probe_image_of_another_class(folder: Path) -> None:
    path = shard(folder, "blue_40_probe2_verified5", False, "probe")
    rows = pq.read_table(path).to_pylist()
    other = next(i for i, r in enumerate(rows) if r["label"] != rows[0]["label"])
    change(path, lambda r: r.update(rows[other]))


PARTED = {
    verdict_turned: {"flags", "rate", "rows"},
    verified_made_noisier: {"rate", "rows"},
    train_image_in_verified: {"disjoint_splits", "duplicates", "rows"},
    web_image_of_train_in_verified_of_another_level: {"disjoint_splits", "rows"},
    right_image_as_noise_in_verified: {"verdicts", "rows"},
    probe_image_of_another_class: {"reserved_splits", "duplicates", "rows"},
}


# Checks whose faults are no change of rows; each has a test of its own, here or in the file named.
OTHER_FAULTS = {
    "card",
    "tables",
    "text",
    "pictures",
    "plain",
    "inventory",
    "classes",
    "manifest",
    "segments",
    "train_size",
    "near_duplicates",
    "roundtrip",
    "plans",  # test_noises.py
    "croissant",  # test_croissant.py
    "records",  # test_croissant.py
    "matrix",  # test_noises.py
    "clean_labels",  # test_repeats.py
}


def test_every_check_finds_a_fault() -> None:
    """A new check comes with a fault that it must find."""
    names = {check.name for check in CHECKS}

    assert names == OTHER_FAULTS.union(*FAULTS.values(), *PARTED.values())


def test_a_parted_build_as_it_was_made_has_no_errors(parted: Path) -> None:
    """A probe set and a verified set leave every check content."""
    assert set() == errors(parted)


@pytest.mark.parametrize("fault", PARTED, ids=lambda f: f.__name__)
def test_a_fault_beside_train_is_found(
    parted: Path, tmp_path: Path, fault: Callable[[Path], None]
) -> None:
    """What is wrong in a verified or probe set is found as surely as in train."""
    folder = shutil.copytree(parted, tmp_path / "build")
    fault(folder)
    recorded_anew(folder)

    assert errors(folder, PARTED[fault]) == PARTED[fault]


def test_a_card_that_claims_other_bytes(parted: Path, tmp_path: Path) -> None:
    """The bytes of a split are those of its files; the message names the place and both numbers."""
    folder = shutil.copytree(parted, tmp_path / "build")
    text = (folder / "README.md").read_text()
    stated = text.partition("num_bytes: ")[2].partition("\n")[0]
    (folder / "README.md").write_text(text.replace(f"num_bytes: {stated}\n", "num_bytes: 1\n", 1))

    (finding,) = told(folder, "card")

    place = "dataset_info[0].splits[0].num_bytes"
    assert finding.message == f"{place} is 1, but the build gives {stated}"


def test_a_card_that_claims_a_smaller_train(parted: Path, tmp_path: Path) -> None:
    """All of train is no hundred images, whatever the card says."""
    folder = shutil.copytree(parted, tmp_path / "build")
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(
        text.replace("train_size: 0", "train_size: 100").replace("_probe2", "_clean100_probe2")
    )

    assert {"train_size", "counts", "plans", "rows"} <= errors(folder)


def test_a_card_that_claims_a_larger_verified_set(parted: Path, tmp_path: Path) -> None:
    """Five a class are no six, whatever the card says."""
    folder = shutil.copytree(parted, tmp_path / "build")
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(
        text.replace("verified: 5", "verified: 6").replace("verified5", "verified6")
    )

    assert {"reserved_splits", "counts", "plans", "rows"} <= errors(folder)


def test_a_card_that_claims_another_validation_split(
    tmp_path: Path, tiny: Callable[[Path], Path]
) -> None:
    """A fifth of each class is no half, whatever the card says."""
    root = tiny(tmp_path / "root")
    path = root / "manifests" / "shapes" / "base.parquet"
    base = pq.read_table(path)
    pq.write_table(base.filter(pc.equal(base["split"], "train")), path)
    keys = {"dataset": "shapes", "noise": "blue", "levels": [40], "validation": 20}
    folder = tmp_path / "build"
    build(parse_recipe(keys, "the test"), Inputs(root), folder)
    text = (folder / "README.md").read_text()
    assert "20 % of the images of each\nclass" in text
    assert set() == errors(folder)
    (folder / "README.md").write_text(
        text.replace("validation: 20", "validation: 50").replace("_val20", "_val50")
    )

    assert {"reserved_splits", "counts", "plans", "rows", "text"} <= errors(folder)
