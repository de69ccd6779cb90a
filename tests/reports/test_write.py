"""The whole report, of run folders made by hand."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools import files
from cnlw_tools.cli import main
from cnlw_tools.dataset import tables
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.reports import runs
from cnlw_tools.reports.study_file import StudyRecord, read_study_record
from cnlw_tools.reports.trials import group_trials
from cnlw_tools.reports.write import write_report
from cnlw_tools.study.spec import MethodEntry, Published, Study
from cnlw_tools.study.study_file import StudyFile, write_study_file
from tests.reports.test_runs import odd_folders


def write_study(folder, run_specs, **keys):
    """Write study.json as `cnlw sweep` does."""
    common = {"configs": ({"noise": "blue"},), "methods": (MethodEntry("vanilla"),)}
    study = Study("toy", **common | keys)
    command = ("cnlw", "sweep", "toy")
    write_study_file(folder, StudyFile("toy", "", study, tuple(run_specs), "builds", command))


@pytest.fixture(scope="module")
def page(tmp_path_factory, study_maker, spec_maker) -> Path:
    """The page of a study of which a method was not run, beside a published table."""
    folder = tmp_path_factory.mktemp("report")
    runs_folder = study_maker(folder / "runs")
    entry = Published("ncr_mini_imagenet_blue", {"40": "blue_40"}, {"Standard": "vanilla"})
    run_specs = [
        spec_maker(config, method)
        for config in ("blue_00", "blue_40")
        for method in ("vanilla", "mixup", "bootstrap")
    ]
    write_study(runs_folder, run_specs, published=(entry,), notes=("One more thing.",))
    problems = write_report(runs_folder, folder / "out", files.default_root())
    assert [line.split(":")[0] for line in problems] == ["blue_00", "blue_40", "red_00", "red_40"]
    return folder / "out" / "index.html"


class Reader(HTMLParser):
    """Records the open tags and all addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        self.open += [] if tag in ("meta", "img") else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_nothing_of_a_network(page):
    """Every tag is closed; addresses are anchors of the page or contain their data."""
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))

    assert reader.open == []
    assert all(address.startswith(("#", "data:image/")) for address in reader.addresses)
    assert not re.search(r"https?://(?!www\.w3\.org)", page.read_text(encoding="utf-8"))


def test_what_is_written(page):
    """There are numbers for the checked reader, and tables in Markdown and LaTeX."""
    text = (page.parent / "tables.md").read_text(encoding="utf-8")

    assert tables.read_runs(page.parent / "runs.parquet")["dataset"].unique().to_pylist() == ["toy"]
    assert "| bootstrap | not run | not run | – |" in text
    assert "| Standard | 40 | 55.9 | 50.50 | −5.40 |" in text
    assert "1. These numbers are a second public check" in text
    assert text.count("## ") == (page.parent / "tables.tex").read_text(encoding="utf-8").count(
        "\\begin{table}"
    )
    assert text.endswith("| 1 | One more thing. |\n")
    assert {path.name.split("_")[0] for path in (page.parent / "figures").glob("*.svg")} == {
        "belts",
        "curves",
        "drop",
        "over",
    }
    assert (
        (page.parent / "figures" / "over_toy_blue.svg")
        .read_text(encoding="utf-8")
        .rstrip()
        .endswith("</svg>")
    )
    assert "<li>One more thing.</li>" in page.read_text(encoding="utf-8")
    sentence = "This report covers 25 runs of the study toy, of which 24 have finished. The study plans 6 runs."
    assert f"{sentence} Not run: blue_00 bootstrap, blue_40 bootstrap." in page.read_text(
        encoding="utf-8"
    )


def test_a_report_says_what_it_does_not_count_and_does_not_average(tmp_path, run_maker):
    """A copy, a seed with two results: in the notes, on the page, in the tables and as a cell."""
    run_maker(tmp_path / "runs" / "a", [50.0])
    shutil.copytree(tmp_path / "runs" / "a", tmp_path / "runs" / "a_copy")
    for name, accuracy in (("b", 60.0), ("c", 70.0)):
        run_maker(tmp_path / "runs" / name, [accuracy], method="mixup")
    notes = write_report(tmp_path / "runs", tmp_path / "out", files.default_root())
    text = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")

    assert notes[0] == "a_copy: a copy of a, so it does not count"
    assert "mixup: seed 0 has 2 runs with different numbers (b, c): not averaged" in notes[1]
    assert "| mixup | not averaged |" in text
    assert "| vanilla | 50.00 (1) |" in text
    assert "**" not in text
    for note in notes[:2]:
        assert note in text
        assert note in html


def test_curves_go_over_what_the_study_says(tmp_path, run_maker, spec_maker):
    """Here the x axis is an option of the noise."""
    run_specs = []
    for level, order in ((20, "random"), (40, "random"), (40, "reverse")):
        name = f"blue_{level}_{order}"
        run_maker(
            tmp_path / name,
            [50.0],
            config=name,
            method="mixup",
            options={"alpha": 8, "per": "batch"},
        )
        recipe = Recipe("toy", "blue", options={"delta": level / 9, "order": order})
        run_specs.append(spec_maker(name, "mixup", recipe=recipe))
    write_study(tmp_path, run_specs, x_axis="delta", group_by=("alpha",), select_by="best")
    record = read_study_record(tmp_path)
    places = [
        record.position(trial)
        for trial in group_trials(
            runs.make_runs_table(runs.read_run_folders(tmp_path)), ["alpha", "delta"]
        )
    ]

    assert write_report(tmp_path, tmp_path / "out", files.default_root())
    assert "Accuracy (best) over delta" in (tmp_path / "out" / "index.html").read_text(
        encoding="utf-8"
    )
    assert [(at.panel, at.line) for at in places] == [
        ("toy, blue", "mixup alpha=8 level=20 order=random"),
        ("toy, blue", "mixup alpha=8 level=40 order=random"),
        ("toy, blue", "mixup alpha=8 level=40 order=reverse"),
    ]
    assert [at.x for at in places] == [20 / 9, 40 / 9, 40 / 9]


def test_curves_go_over_keys_of_the_preset(tmp_path, run_maker):
    """Each value makes a variant; strings and flags are no numbers, so they have no position."""
    for size in (32, 64):
        run_maker(
            tmp_path / f"{size}", [50.0], preset={"batch_size": size, "optimiser": f"o{size}"}
        )
    trials = group_trials(runs.make_runs_table(runs.read_run_folders(tmp_path)), ["batch_size"])

    assert [
        StudyRecord(study=Study("", (), (), x_axis="batch_size")).position(trial)
        for trial in trials
    ] == [
        ("toy, blue", "vanilla", 32),
        ("toy, blue", "vanilla", 64),
    ]
    assert StudyRecord(study=Study("", (), (), x_axis="optimiser")).position(trials[0]) is None


def test_the_command_says_where_the_page_is(page, tmp_path):
    """Problems go to standard error; the same runs give the same page, byte for byte."""
    done = CliRunner().invoke(
        main, ["report", str(page.parent.parent / "runs"), "--out", str(tmp_path / "out")]
    )

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "index.html")
    assert "no build here" in done.stderr
    assert (tmp_path / "out" / "index.html").read_bytes() == page.read_bytes()


def test_a_folder_without_runs_is_an_error_in_a_line(tmp_path):
    """The error says how to make a run."""
    done = CliRunner().invoke(main, ["report", str(tmp_path)])

    assert done.exit_code == 1
    assert "no run here" in done.output


def test_a_study_that_only_builds_is_reported_without_a_run(tmp_path, spec_maker):
    """Configs that are not built are named."""
    write_study(tmp_path, [spec_maker("blue_40", "")], methods=(), figures=("sizes", "labels"))
    problems = write_report(tmp_path, tmp_path / "out", files.default_root())
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")

    assert "1 config of the study toy, on which nothing is trained." in text
    assert "All trials" not in text
    assert problems[0].startswith("blue_40: no matrix, gallery or noise detection: builds/toy")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "study.json: 'name' is missing: run the sweep again"),
        ("not a study", "study.json cannot be read as JSON"),
        ("[1, 2]", "study.json: "),
        (None, "study.json: this is a folder, not a file"),
    ],
)
def test_a_foreign_study_is_passed_over(tmp_path, run_maker, text, reason):
    """The line names the file, the key and the remedy; the runs are reported as those of none."""
    run_maker(tmp_path / "a", [50.0])
    if text is None:
        (tmp_path / "study.json").mkdir()
    else:
        (tmp_path / "study.json").write_text(text)
    problems = write_report(tmp_path, tmp_path / "out", files.default_root())

    assert problems[0].startswith(f"skipped: {tmp_path}/{reason}")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert '<p class="faint">This report covers 1 finished run.' in page
    assert '<h2 id="provenance">' in page
    with pytest.raises(ValueError, match="skipped"):
        read_study_record(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("builds", "a\0b", "'a\\x00b' is not a path"),
        ("build", "a\0b", "'a\\x00b' is not a path"),
        ("name", "\ud800", "the character '\\ud800' is not allowed in a text"),
    ],
)
def test_a_study_with_odd_letters_is_passed_over(
    tmp_path, run_maker, spec_maker, key, value, reason
):
    """A byte of zero ends a path, and half of a pair of letters is in no file of text."""
    run_maker(tmp_path / "a", [50.0])
    write_study(tmp_path, [spec_maker("blue_40", "vanilla")])
    study = json.loads((tmp_path / "study.json").read_text())
    (study if key in study else study["cells"][0])[key] = value
    (tmp_path / "study.json").write_text(json.dumps(study))
    (problem, *_) = write_report(tmp_path, tmp_path / "out", files.default_root())

    assert problem.startswith(f"skipped: {tmp_path}/study.json: {reason}")


def test_without_matplotlib_it_says_what_to_install(tmp_path):
    """There is no traceback if the extra is not installed."""
    code = "import sys; sys.modules['matplotlib'] = None; from cnlw_tools.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", tmp_path], capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "[report]'" in done.stderr


SCROLLERS = ("wide", "wide-panel", "gallery")  # classes of what scrolls sideways by itself
PHONE = 22  # rem: 400 pixels without the margins


class LayoutReader(HTMLParser):
    """Records what each table and image lies in, tags and classes, and what images show."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, set[str]]] = []
        self.tables: list[list[tuple[str, set[str]]]] = []
        self.images: list[list[tuple[str, set[str]]]] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "table":
            self.tables.append([*self.open])
        if tag == "img":
            self.images.append([*self.open])
            self.sources.append(attributes["src"])
        if tag not in ("meta", "img"):
            self.open.append((tag, set(attributes.get("class", "").split())))

    def handle_endtag(self, tag):
        self.open.pop()


def read_layout(page: Path) -> tuple[LayoutReader, dict[str, str], dict[str, str]]:
    """Return the page, and its rules by selector: those of a screen, and those of paper."""
    text = page.read_text(encoding="utf-8")
    reader = LayoutReader()
    reader.feed(text)
    style = text.partition("<style>")[2].partition("</style>")[0]
    screen, _, paper = style.partition("@media print")
    return reader, read_rules(screen), read_rules(paper)


def read_rules(style: str) -> dict[str, str]:
    rules: dict[str, str] = {}
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style):
        for selector in selectors.split(","):
            rules[selector.strip()] = rules.get(selector.strip(), "") + body + ";"
    return rules


def test_only_what_scrolls_is_wider_than_a_phone(page):
    """Tables lie in what scrolls; images fill what they lie in, or it scrolls; nothing else is wide."""
    reader, rules, _ = read_layout(page)

    assert all("overflow-x: auto" in rules[f".{name}"] for name in SCROLLERS)
    assert len(reader.tables) > 3
    for ancestors in reader.tables:
        assert any("wide" in classes for _, classes in ancestors)
    assert len(reader.images) > 3
    for ancestors in reader.images:
        assert "figure" in [tag for tag, _ in ancestors]
    assert "width: 100%" in rules["figure img"]
    for selector, body in rules.items():
        widths = re.findall(r"(?<!max-)width: ([\d.]+)rem", body)
        scrolls = selector.split()[0].lstrip(".") in SCROLLERS
        assert scrolls or all(float(width) <= PHONE for width in widths), selector


def test_all_images_load(page):
    """Each is a drawing or a picture that its reader takes."""
    reader, _, _ = read_layout(page)
    for source in reader.sources:
        kind, _, data = source.removeprefix("data:image/").partition(";base64,")
        content = base64.b64decode(data, validate=True)
        if kind == "svg+xml":
            assert ElementTree.fromstring(content).tag.endswith("svg")  # noqa: S314, our own
        else:
            Image.open(io.BytesIO(content)).verify()


def test_paper_shows_all_that_scrolls_on_a_screen(page):
    """Nothing can be scrolled there."""
    _, _, rules = read_layout(page)

    assert all("overflow: visible" in rules[f".{name}"] for name in SCROLLERS)


def test_odd_folders_do_not_end_the_report(tmp_path, run_maker):
    """The command says a line of each and reports the runs that are whole."""
    run_maker(tmp_path / "runs" / "a", [60.0, 70.0])
    reasons = odd_folders(tmp_path / "runs")
    done = CliRunner().invoke(main, ["report", str(tmp_path / "runs")])

    assert done.exit_code == 0, done.output
    lines = [text for text in done.stderr.splitlines() if "skipped" in text]
    assert len(lines) == len(reasons)
    assert all(text.startswith("note: skipped: ") for text in lines)
    table = tables.read_runs(tmp_path / "runs" / "report" / "runs.parquet")
    assert set(table["run"].to_pylist()) == {"a"}
