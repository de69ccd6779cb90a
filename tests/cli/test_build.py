"""What ``cnlw build`` prints, and the levels that it takes."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cnlw_tools.builds.build import BuildSummary
from cnlw_tools.card.metadata import ConfigCard, read_card
from cnlw_tools.cli import main
from cnlw_tools.cli.build import _print_summary
from cnlw_tools.cli.next_step import loading_call, loading_lines
from cnlw_tools.cli.options import read_level, read_levels
from cnlw_tools.recipe.recipe import Recipe

SPLITS = ("train", "verified", "probe", "validation", "val_ilsvrc12", "test", "test_outliers")


@pytest.fixture
def build(tmp_path, monkeypatch, tiny):
    """Build levels of blue noise in the working directory; return what was printed."""
    root = tiny(tmp_path / "root")
    monkeypatch.chdir(tmp_path)
    arguments = ["--root", str(root), "--workers", "1", "--noise", "blue", "--size", "8"]
    return lambda level: CliRunner().invoke(main, ["build", *arguments, "--level", level])


def size_on_disk(folder):
    """Return the bytes of all files in a folder, in MB as they are printed."""
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.1f}"


def test_levels_are_listed_and_sizes_are_those_on_disk(build, tmp_path):
    """A list has commas, like the seeds of `cnlw train`; tables and other configs count in the end."""
    first, again = build("0,40"), build("40")
    words = " ".join(again.output.split())
    of_config = words.partition(" MB of images and rows of this config, 0.0 MB of them")[0]
    in_all = size_on_disk(tmp_path / "builds" / "shapes")

    assert first.exit_code == 0, first.output
    assert [*read_card(tmp_path / "builds" / "shapes").configs] == ["blue_00", "blue_40"]
    assert f"; {in_all} MB in all" in words
    assert float(of_config.rpartition(" ")[2]) < float(in_all)


@pytest.mark.parametrize(
    ("text", "expected"), [("40", [40]), ("0,40", [0, 40]), ("0, 5", [0, 5]), ("all", "all")]
)
def test_levels(text, expected):
    """One, several, or all."""
    assert read_levels(text) == expected


@pytest.mark.parametrize("text", ["0,", "0,x", "0;40", "0,96", "0,all", ""])
def test_what_is_no_list_of_levels_is_said(text):
    """With the form that is right."""
    with pytest.raises(ValueError, match="a whole percent from 0 to 95, a list such as 0,40, or"):
        read_levels(text)


@pytest.mark.parametrize("text", ["0,40", "all"])
def test_a_run_learns_from_one_level(text):
    """Where there can be only one, a list is an error that says what takes a list."""
    assert read_level("40") == 40
    with pytest.raises(ValueError, match=f"--level {text}: a run trains on one level: .* sweep"):
        read_level(text)


def test_no_line_is_wider_than_a_terminal(capsys):
    """Whatever the configs, splits and classes are called."""
    config = ConfigCard(
        recipe=Recipe("shapes", "outlier"),
        level=None,
        rate=1 / 6,
        changed=0.12345,
        rows=dict.fromkeys(SPLITS, 1_234_567),
        digest="0" * 64,
        expected=1 / 6,
        kept=(0.5, 0.5),
        expected_kept=(0.5, 0.5),
        segments={},
    )
    summary = BuildSummary(
        folder=Path("builds/a_folder_with_a_rather_long_name_below_another_one"),
        configs={"outlier_k50_r50_cifar10_white_verified20_probe10_s3": config},
        matrices={"outlier_k50_r50_cifar10_white_verified20_probe10_s3": np.full((2, 2), 0.5)},
        new_bytes=10**10,
        n_joined=10**4,
        total_bytes=10**11,
        folder_bytes=10**12,
        seconds=1234.5,
        classes_without_validation=[f"class number {i}" for i in range(30)],
    )
    _print_summary(summary)
    lines = capsys.readouterr().out.splitlines()

    assert max(map(len, lines)) <= 80
    assert "1000000.0 MB in all" in " ".join(" ".join(lines).split())


def test_the_call_can_be_pasted():
    """A long one is written over several lines, and no word of it is cut."""
    assert loading_call("builds/shapes", "red_40") == 'load_dataset("builds/shapes", "red_40")'
    at_address = loading_call("s3://b/shapes", "red_40")
    assert at_address == 'cnlw_tools.load_dataset("s3://b/shapes", "red_40")'
    folder = "a folder with spaces/" + "x" * 50
    call = loading_call(folder, "red_40")

    assert len(call.splitlines()) == 4
    assert [argument.value for argument in ast.parse(call).body[0].value.args] == [folder, "red_40"]


def test_shards_are_written_in_one_folder_or_joined(tmp_path, monkeypatch, tiny):
    """Each process says what it has; the last one says what it joined."""
    root = tiny(tmp_path / "root")
    monkeypatch.chdir(tmp_path)
    command = ["build", "--root", str(root), "--workers", "1", "--noise", "blue", "--size", "8"]
    command += ["--level", "0"]

    shards = []
    for number in "12":
        arguments = ["--shard", f"{number}/2", "--out", f"parts/{number}"]
        shards.append(CliRunner().invoke(main, [*command, *arguments]))
    last = CliRunner().invoke(main, [*command, "--join", "parts"])

    assert [0, 0, 0] == [result.exit_code for result in (*shards, last)], last.output
    assert shards[1].stdout.startswith("parts/2.partial: shard 2/2 has ")
    assert "next: when all shards are done, the same command without --shard" in shards[1].stderr
    words = " ".join(last.stdout.split())
    assert "0.0 MB of them written" in words
    assert re.search(r" s, \d+ files joined; ", words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "3/2"], "shard '3/2' is not allowed: write it as 2/5 for the second of five"),
        (
            ["--shard", "1/2", "--join", "x"],
            "--shard 1/2 cannot be given with --join, which belongs to the final command",
        ),
        (["--join", "x"], "x: there is no shard of a build here: give a folder that"),
        (["--shard", ""], "shard '' is not allowed: write it as 2/5"),
        (["--join", ""], "the path is empty: give a folder or a file, or omit the option"),
    ],
)
def test_wrong_shards_are_one_line(tmp_path, monkeypatch, arguments, message):
    """Nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["build", "--noise", "blue", *arguments])

    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert [*tmp_path.iterdir()] == []


def test_other_configs_are_named_beside_the_call() -> None:
    """The import and one call are printed; if there are more configs, a line has their names."""
    call = 'load_dataset("builds/shapes", "red_30")'
    statement = "from datasets import load_dataset"

    assert loading_lines("builds/shapes", ["red_30"]) == [statement, call]
    assert loading_lines("builds/shapes", ["blue_5", "red_20", "red_30"]) == [
        statement,
        call,
        "other configs: blue_5, red_20",
    ]
    assert loading_lines("s3://bucket/shapes", ["red_30"])[0] == "import cnlw_tools"
