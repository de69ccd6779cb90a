"""Formats and sizes of figures as files."""

import re
import sys
import zlib

import pytest
from click.testing import CliRunner
from PIL import Image

import cnlw_tools as cnlw
from cnlw_tools.cli import main
from cnlw_tools.reports.figure_files import FigureFiles, choose_figure_files, read_width
from cnlw_tools.reports.layout import PlotStyle


@pytest.mark.parametrize(
    ("text", "inches"),
    [
        ("3.25in", 3.25),
        (" 3.25 in ", 3.25),
        ("8.255cm", 3.25),
        ("82.55mm", 3.25),
        ("234.8775pt", 3.25),
        (3.25, 3.25),
        (4, 4),
    ],
)
def test_a_width_has_a_unit(text, inches):
    """Inches, centimetres, millimetres, and the points of LaTeX; a number is in inches."""
    assert read_width(text) == pytest.approx(inches)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"formats": ["eps"]}, "'eps': there is no such format of figures: use svg, pdf, png"),
        ({"formats": [""]}, "'': there is no such format of figures"),
        ({"width": "3.25"}, "width '3.25' is not allowed: give a number with a unit"),
        ({"width": "-3in"}, "give a number with a unit"),
        ({"width": "1e9in"}, "give a number with a unit"),
        ({"width": "0in"}, "width 0 inches is not allowed: give a value from 1.5 to 40 inches"),
        ({"width": "1000cm"}, "give a value from 1.5 to 40 inches"),
        ({"width": float("nan")}, "give a value from 1.5 to 40 inches"),
        ({"font_size": 0}, "font size 0 points is not allowed: give a value from 4 to 40 points"),
        ({"font_size": float("inf")}, "give a value from 4 to 40 points"),
        (
            {"width": "2in", "font_size": 20},
            "give a width of 4.44 in or more, or a smaller font size",
        ),
    ],
)
def test_a_size_that_makes_no_picture_is_an_error(choices, message):
    """The error names the value and what to give."""
    with pytest.raises(ValueError, match=re.escape(message)):
        choose_figure_files(**choices)


def test_the_default_is_the_picture_of_the_page():
    """A width that is given holds for pictures that are wide on the page, too."""
    assert choose_figure_files() == FigureFiles()
    chosen = choose_figure_files(["pdf", "png", "pdf"], "3.25in", 8)
    assert chosen == FigureFiles(("pdf", "png"), PlotStyle(3.25, 3.25, 8))


@pytest.fixture
def runs_folder(tmp_path, run_maker):
    """Two methods, two seeds, one level."""
    for method in ("vanilla", "mixup"):
        for seed in (0, 1):
            folder = tmp_path / "runs" / f"{method}{seed}"
            run_maker(folder, [40.0, 50.0 + seed], method=method, seed=seed)
    return tmp_path / "runs"


def test_the_command_writes_figures_for_a_paper(runs_folder):
    """Each format, of the width and the size of text that were asked for; the page stays."""
    command = ["report", str(runs_folder), "--format", "svg,pdf,png"]
    done = CliRunner().invoke(main, [*command, "--width", "3.25in", "--font-size", "8"])
    figures = runs_folder / "report" / "figures"

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [str(figures), str(runs_folder / "report" / "index.html")]
    names = {path.name for path in figures.iterdir()}
    suffixes = ("svg", "pdf", "png")
    assert names == {"captions.txt", *(f"curves_toy_blue_40.{suffix}" for suffix in suffixes)}
    assert "mixup 50.5 % (50.0 to 51.0)" in (figures / "captions.txt").read_text(encoding="utf-8")
    pdf = (figures / "curves_toy_blue_40.pdf").read_bytes()
    assert b"/MediaBox [ 0 0 234 " in pdf
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    texts = b"".join(zlib.decompressobj().decompress(stream) for stream in streams)
    assert set(re.findall(rb"/F1 ([\d.]+) Tf", texts)) == {b"8"}
    assert '"234pt"' in (figures / "curves_toy_blue_40.svg").read_text(encoding="utf-8")
    with Image.open(figures / "curves_toy_blue_40.png") as image:
        assert image.width == 650

    page = (runs_folder / "report" / "index.html").read_bytes()
    finding = "After the last epoch: vanilla 50.5 % (50.0 to 51.0), mixup 50.5 % (50.0 to 51.0)."
    assert f'alt="toy, blue_40. {finding}"' in page.decode()
    cnlw.report(runs_folder)
    assert (runs_folder / "report" / "index.html").read_bytes() == page


def test_python_takes_the_same_options(runs_folder):
    """A wrong one is an error before anything is written."""
    with pytest.raises(ValueError, match="no such format"):
        cnlw.report(runs_folder, formats=["gif"])
    assert not (runs_folder / "report").exists()
    cnlw.report(runs_folder, formats=["pdf"], width=3.25, font_size=8)
    names = {path.name for path in (runs_folder / "report" / "figures").iterdir()}
    assert names == {"captions.txt", "curves_toy_blue_40.pdf"}


def test_a_wrong_option_of_the_command_is_an_error_in_a_line(runs_folder):
    """There is no traceback."""
    done = CliRunner().invoke(main, ["report", str(runs_folder), "--width", "wide"])

    assert done.exit_code == 1
    assert "Error: width 'wide' is not allowed: give a number with a unit" in done.output


def test_no_figure_takes_the_file_of_another(tmp_path, run_maker):
    """Names that differ in signs alone get a number."""
    for i, build in enumerate(("builds/toy+a", "builds/toy-a")):
        run_maker(tmp_path / "runs" / str(i), [50.0], build=build, data={"train": str(i) * 64})
    cnlw.report(tmp_path / "runs")
    figures = tmp_path / "runs" / "report" / "figures"

    assert (figures / "curves_toy_a_blue_40.svg").is_file()
    assert (figures / "curves_toy_a_blue_40_2.svg").is_file()


def test_what_draws_is_missing(tmp_path, monkeypatch):
    """This is said at once, not after all runs were read."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"figures need matplotlib.*\[report\]"):
        choose_figure_files()
    with pytest.raises(ModuleNotFoundError, match="figures need matplotlib"):
        cnlw.report(tmp_path / "missing")
