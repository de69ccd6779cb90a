"""Several processes look at the images of a build; a last one says what one process says alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cnlw_tools import files
from cnlw_tools.checks import Finding, collect, collect_evidence, inspections
from cnlw_tools.checks.collect import inspect_shard
from cnlw_tools.checks.digests import ImageRows
from cnlw_tools.checks.evidence import HAS_NO_SOURCE, IS_SAME, Evidence, ImageInfo
from cnlw_tools.checks.inspections import ImageKey, Inspection
from cnlw_tools.cli import main
from cnlw_tools.executor.work_shard import WorkShard, parse_work_shard
from cnlw_tools.recipe.inputs import Inputs
from tests.checks.conftest import run_checks
from tests.elsewhere import Elsewhere

INFO = ImageInfo((3, 4), "0f" * 32, b"0123456789abcdef")


def inspect(folder: Path, out: Path, text: str) -> tuple[Path, int, int]:
    """Look at the images of one of several processes."""
    return inspect_shard(folder, out, parse_work_shard(text))


def findings(folder: Path, *joined: Path) -> list[tuple[str, Finding]]:
    """Return the findings of all quick checks, of what other processes saw or of all images."""
    return run_checks(collect_evidence(folder, joined_folders=joined))


def damage(folder: Path) -> None:
    """Spoil the first image of every third shard, each in another way."""
    for number, path in enumerate(sorted((folder / "data").glob("*.parquet"))[::3]):
        table = pq.read_table(path)
        rows = table.to_pylist()
        other = rows[-1]["image"]["bytes"] + b"more"
        rows[0]["image"]["bytes"] = (b"no image", None, other)[number % 3]
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let any image that is decoded from now on be an error."""

    def fail(encoded: bytes) -> None:
        raise AssertionError("an image is decoded")

    return lambda: monkeypatch.setattr(collect, "decode", fail)


@pytest.mark.parametrize("name", ["data", "photos"])
def test_a_machine_without_a_folder(copy: Path, name: str) -> None:
    """Nothing is said of a build that a machine cannot read; one line names the machine."""
    photos = copy / "photos"
    photos.mkdir()
    inputs = Inputs(files.default_root(), photos)
    with pytest.raises(OSError, match=rf"{name}: the machine .* does not see this folder"):
        collect_evidence(copy, inputs, Elsewhere(copy / name))


def test_processes_see_what_one_process_sees(
    copy: Path, tmp_path: Path, no_decoding: Callable[[], None]
) -> None:
    """Of damaged images, too; the last process decodes none of those that others decoded."""
    damage(copy)
    expected = findings(copy)
    assert {"decode", "hashes", "source"} <= {name for name, _ in expected}

    summaries = [inspect(copy, tmp_path / "out", f"{number}/3") for number in (1, 2, 3)]
    no_decoding()

    assert expected == findings(copy, tmp_path / "out")
    assert sum(n_bad for _, _, n_bad in summaries) > 0


def test_every_image_is_looked_at_once(whole: Path, tmp_path: Path) -> None:
    """Though shards of several levels show it."""
    n_images = [inspect(whole, tmp_path, f"{number}/3")[1] for number in (1, 2, 3)]

    assert len(collect_evidence(whole).images) == sum(n_images)
    assert min(n_images) > 0


def test_the_last_process_looks_at_the_rest(copy: Path, tmp_path: Path) -> None:
    """At images of a process that never ran, and at those that changed since."""
    for number in (1, 2):
        inspect(copy, tmp_path / "out", f"{number}/3")
    damage(copy)

    assert findings(copy) == findings(copy, tmp_path / "out")


def test_a_process_may_look_twice(whole: Path, tmp_path: Path) -> None:
    """It writes the same file."""
    path, _, _ = inspect(whole, tmp_path, "1/2")
    content = path.read_bytes()

    inspect(whole, tmp_path, "1/2")

    assert content == path.read_bytes()
    assert ["shard-1-of-2.parquet"] == [path.name for path in tmp_path.iterdir()]


def test_folders_of_several_machines_are_joined(
    whole: Path, tmp_path: Path, no_decoding: Callable[[], None]
) -> None:
    """Each has a file of one process; one that is given twice does no harm."""
    for number in "12":
        inspect(whole, tmp_path / number, f"{number}/2")
    no_decoding()

    assert findings(whole, tmp_path / "1", tmp_path / "2", tmp_path / "2") is not None


@pytest.mark.parametrize(
    "inspection",
    [
        Inspection(ImageKey("a", "base", "00"), INFO, is_compared=True),
        Inspection(ImageKey("a", "base", None), error="there are no bytes"),
        Inspection(ImageKey("a", "web", "00"), INFO, surplus=("a comment", "a text")),
        Inspection(ImageKey("a", "base", "00"), INFO, "", "it differs", True, ("a text",)),
    ],
)
def test_a_file_keeps_what_was_seen(tmp_path: Path, inspection: Inspection) -> None:
    """Whatever that is."""
    record = inspections.make_record(WorkShard(), {})
    inspections.write_inspections(tmp_path, record, [inspection])

    (row,) = inspections.read_inspections([tmp_path], {}).to_pylist()
    assert inspection == inspections.to_inspection(row)


def test_evidence_of_what_was_seen(whole: Path) -> None:
    """An image that cannot be compared is noted only if it comes from the web."""
    evidence = Evidence(whole, collect.metadata.read_card(whole), Inputs(files.default_root()))
    digest = b"\1" * 32
    rows = pa.table({"image_id": ["base", "web"], "sha256": [digest] * 2})
    evidence.shards["file"] = SimpleNamespace(rows=rows)
    images = ImageRows()
    for row, origin in enumerate(rows["image_id"].to_pylist()):
        key = ImageKey(origin, origin, digest.hex())
        inspections.add_inspection(evidence, images, "file", row, Inspection(key, INFO))

    assert ["web"] == evidence.ids_of_outcome(HAS_NO_SOURCE).to_pylist()
    assert [] == evidence.ids_of_outcome(IS_SAME).to_pylist()
    assert [digest] == images.distinct()["sha256"].to_pylist()


def test_mixed_counts(whole: Path, tmp_path: Path) -> None:
    """One line, before any image is read, and nothing is written."""
    inspect(whole, tmp_path / "3", "1/3")
    message = "divided in different ways, into 2 and 3 parts: give every process the same number"

    with pytest.raises(ValueError, match=message):
        inspect(whole, tmp_path / "3", "2/2")
    assert ["shard-1-of-3.parquet"] == [path.name for path in (tmp_path / "3").iterdir()]
    inspect(whole, tmp_path / "2", "1/2")
    with pytest.raises(ValueError, match=message):
        findings(whole, tmp_path / "2", tmp_path / "3")


def test_other_sources(whole: Path, tmp_path: Path) -> None:
    """What was compared with them is not what would be compared now."""
    inspect(whole, tmp_path, "1/2")
    (path,) = tmp_path.iterdir()
    table = pq.read_table(path)
    record = json.loads(table.schema.metadata[inspections.RECORD_KEY])
    record["compared_with"]["store"] = True
    metadata = {inspections.RECORD_KEY: json.dumps(record)}
    pq.write_table(table.replace_schema_metadata(metadata), path)

    with pytest.raises(
        ValueError, match="belongs to another build, or to other sources: give the same"
    ):
        findings(whole, tmp_path)


def test_other_programs(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may see other pixels."""
    versions = {**inspections.program_versions(), "pillow": "1.0"}
    with monkeypatch.context() as patch:
        patch.setattr(inspections, "program_versions", lambda: versions)
        inspect(whole, tmp_path, "1/2")

    with pytest.raises(ValueError, match=r"this process has pillow .* instead of 1.0: install"):
        findings(whole, tmp_path)


def test_a_folder_without_shards(whole: Path, tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(FileNotFoundError, match="no shard of a check here: give a folder that"):
        findings(whole, tmp_path)


def test_a_record_is_read_strictly(tmp_path: Path, fuzz: Callable[..., None]) -> None:
    """Whatever is in the metadata of a file, the error names the file."""
    record = inspections.make_record(WorkShard(2, 1), {"store": True})
    table = inspections.SCHEMA.empty_table()
    path = tmp_path / record.file_name

    def read(value: object) -> object:
        metadata = {inspections.RECORD_KEY: json.dumps(value)}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        return inspections.read_records(tmp_path)

    fuzz(asdict(record), read, str(path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}"])
def test_a_damaged_file(tmp_path: Path, whole: Path, content: bytes) -> None:
    """The error names it, and what to do."""
    (tmp_path / "shard-1-of-2.parquet").write_bytes(content)

    with pytest.raises(ValueError, match=r"shard-1-of-2.parquet:? .*: delete it, and run `cnlw"):
        findings(whole, tmp_path)


def test_a_file_with_other_columns(tmp_path: Path, whole: Path) -> None:
    """Or with nothing where something must be."""
    record = inspections.make_record(WorkShard(), {})
    inspection = Inspection(ImageKey("a", "base", "00"), INFO)
    path = inspections.write_inspections(tmp_path, record, [inspection])
    table = pq.read_table(path)
    nothing = pa.nulls(1, pa.list_(pa.string()))
    pq.write_table(table.set_column(len(table.schema) - 1, "surplus", nothing), path)

    with pytest.raises(ValueError, match="cannot be read as a file of inspections"):
        inspections.read_inspections([tmp_path], {})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("is_compared", None, "a row without is_compared"),
        ("height", None, "an image of 3 x None pixels"),
        ("width", -5, "an image of -5 x 4 pixels"),
        ("pixel_digest", None, "a row with both pixels and an error, or with neither"),
        ("error", "boom", "a row with both pixels and an error, or with neither"),
    ],
)
def test_a_row_that_no_process_writes(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    """Somebody edited the file."""
    record = inspections.make_record(WorkShard(), {})
    path = inspections.write_inspections(
        tmp_path, record, [Inspection(ImageKey("a", "base", "00"), INFO)]
    )
    table = pq.read_table(path)
    rows = [row | {column: value} for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)

    with pytest.raises(ValueError, match=rf"{message}\): delete it, and run"):
        inspections.read_inspections([tmp_path], {})


def test_a_place_that_takes_no_file_is_said_at_once(
    whole: Path, tmp_path: Path, no_decoding: Callable[[], None]
) -> None:
    """No image is decoded for nothing."""
    (tmp_path / "file").touch()
    no_decoding()

    with pytest.raises(OSError, match=r"file cannot be written \(File exists\): give another"):
        inspect(whole, tmp_path / "file", "1/2")


def test_the_command_looks_and_joins(whole: Path, tmp_path: Path, reads_back_here: None) -> None:
    """The exit code of a shard says nothing of the build; that of the last command does."""
    folder = shutil.copytree(whole, tmp_path / "build")
    damage(folder)
    command = ["validate", str(folder), "--workers", "1"]
    out = str(tmp_path / "out")

    shard = CliRunner().invoke(main, [*command, "--shard", "1/1", "--out", out])
    last = CliRunner().invoke(main, [*command, "--join", out])

    assert (0, 1) == (shard.exit_code, last.exit_code)
    assert " images of shard 1/1, " in " ".join(shard.stdout.split())
    assert "errors" in last.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--shard", "1/2"],
            1,
            "--shard 1/2 needs a folder for its findings: give --out DIR as well",
        ),
        (
            ["--cache", "x"],
            1,
            "--cache x has no effect without --end-to-end: give --end-to-end",
        ),
        (["--shard", "3/2", "--out", "x"], 1, "shard '3/2' is not allowed: write it as 2/5"),
        (
            ["--shard", "1/2", "--out", "x", "--json"],
            1,
            "--shard 1/2 cannot be given with --json: only the final",
        ),
        (
            ["--shard", "1/2", "--out", "x", "--join", "y"],
            1,
            "--shard 1/2 cannot be given with --join: only",
        ),
        (["--join", "y"], 2, "y: there is no shard of a check here"),
        (["--out", "x"], 1, "--out x has no effect without --shard: give --shard as well"),
        (["--shard", "", "--out", "x"], 1, "shard '' is not allowed: write it as 2/5"),
    ],
)
def test_wrong_choices_are_one_line(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """Nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["validate", str(whole), "--workers", "1", *arguments])

    assert code == result.exit_code
    assert message in " ".join(result.stderr.split())
    assert [] == [*tmp_path.iterdir()]


def test_a_record_names_its_file() -> None:
    """By its number and the count."""
    record = inspections.make_record(WorkShard(5, 2), {})

    assert "shard-2-of-5.parquet" == record.file_name
    assert "shard-3-of-5.parquet" == replace(record, number=3).file_name
