"""The page: what it begins with, and how its tables fit a screen."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cnlw_tools import files
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.reports.misjudged import MisjudgedGallery, MisjudgedImage
from cnlw_tools.reports.page import (
    DESK,
    MAX_MISJUDGED_BYTES,
    PHONE,
    estimate_width,
    list_measures,
    page_galleries,
    page_tables,
)
from cnlw_tools.reports.tables import Table
from cnlw_tools.reports.write import write_report
from cnlw_tools.study.spec import Published
from tests.reports.test_write import write_study


class Outline(HTMLParser):
    """Records the tags of a page in order, with what is inside of details, and all alt texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open_details = 0
        self.shown: list[str] = []  # tags outside of details
        self.alts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open_details += tag == "details"
        if not self.open_details:
            self.shown.append(tag)
        if tag == "img":
            self.alts.append(dict(attrs)["alt"])

    def handle_endtag(self, tag):
        self.open_details -= tag == "details"


@pytest.fixture(scope="module")
def html(tmp_path_factory, study_maker) -> str:
    """The page of runs of two methods on two levels of two kinds of noise."""
    folder = tmp_path_factory.mktemp("page")
    write_report(study_maker(folder / "runs"), folder / "out", files.default_root())
    return (folder / "out" / "index.html").read_text(encoding="utf-8")


def outline(html):
    """Return the outline of a page."""
    reader = Outline()
    reader.feed(html)
    return reader


def test_the_conclusion_comes_first_then_a_figure_then_one_result(html):
    """Best epoch and mean are folded; the title names the folder, and the day of the newest run."""
    conclusion, figure = html.index('<p class="conclusion">'), html.index("<img")
    table, folded = html.index("<table"), html.index("<summary>Other results: best epoch, mean")

    assert conclusion < figure < table < folded
    assert (
        html.index("Last epoch: toy, red</h3>") < folded < html.index("Best epoch: toy, blue</h3>")
    )
    title = re.search("<title>(.*?)</title>", html)[1]
    assert re.fullmatch(r"runs: vanilla and mixup on toy, \d{4}-\d\d-\d\d: cnlw report", title)
    assert (
        "<strong>toy, blue.</strong> At level 40, mixup is ahead of vanilla by 18.00 percentage points"
        in html
    )
    reader = outline(html)
    # Two kinds of noise, all trials, and three tables of provenance; the rest is folded.
    assert reader.shown.count("table") == 6


def test_every_picture_has_a_text(html):
    """None is empty, and no two are the same."""
    alts = outline(html).alts

    assert len(alts) > 4
    assert all(alts)


def test_a_page_without_results_says_so(tmp_path, run_maker):
    """A run has not come to its end."""
    run_maker(tmp_path / "runs" / "a", [50.0], ended=False)
    write_report(tmp_path / "runs", tmp_path / "out", files.default_root())

    assert "No run has finished yet." in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_a_study_of_many_kinds_of_noise_folds_what_it_finds(tmp_path, run_maker):
    """Four conclusions stand at the top."""
    for i in range(6):
        config = f"n{i}_40"
        run_maker(tmp_path / "runs" / config, [50.0], config=config)
    write_report(tmp_path / "runs", tmp_path / "out", files.default_root())
    html = (tmp_path / "out" / "index.html").read_text("utf-8")

    assert html.count('<p class="conclusion">') == 4
    assert "The same for 2 more kinds of noise" in html
    assert html.count("The accuracy of vanilla is 50.00 % at level 40") == 6


def test_names_are_escaped(tmp_path, run_maker):
    """A method is called like a tag, and like commands of LaTeX."""
    for method in ("<b>&x", "a_b%$#{"):
        run_maker(tmp_path / "runs" / method[-2:], [50.0], method=method)
    write_report(tmp_path / "runs", tmp_path / "out", files.default_root())
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    latex = (tmp_path / "out" / "tables.tex").read_text("utf-8")

    assert "<b>" not in html
    assert "&lt;b&gt;&amp;x" in html
    assert "$<$b$>$\\&x" in latex
    assert "a\\_b\\%\\$\\#\\{" in latex


def test_a_table_is_wide_where_its_letters_are():
    """The longest cell of each column counts, or the longest word of its header."""
    table = Table("t", ["one two", "n"], [["a", "12345"], ["abcdef", "1"]])
    naive = PHONE.letter * (6 + 5) + 2 * PHONE.padding

    assert estimate_width(table, PHONE) == pytest.approx(naive)
    assert estimate_width(Table("t", ["longest word"], []), PHONE) == pytest.approx(
        PHONE.letter * 7 + PHONE.padding
    )


def test_wide_tables_are_lists_on_a_phone_and_dense_on_a_desk():
    """Each cell of a list has the title of its column; a narrow table stays a table."""
    narrow = Table("a", ["x", "y"], [["1", "2"]])
    wide = Table("b", ["Method", *"abc"], [["vanilla", *["50.50 ± 6.35 (2)"] * 3]])
    widest = Table("c", [str(i) for i in range(20)], [["50.50 ± 6.35 (2)"] * 20] * 20)

    assert estimate_width(wide, DESK) < DESK.width < estimate_width(widest, DESK)
    assert [(styled.style, styled.is_listed) for styled in page_tables([narrow, wide, widest])] == [
        ("short", False),
        ("listed short", True),
        ("listed dense", True),
    ]


def test_cells_of_a_list_say_their_column(html):
    """All trials have twelve rows of eleven cells."""
    labels = [attrs["data-label"] for tag, attrs in outline(html).tags if "data-label" in attrs]

    assert labels.count("Deviation") == 12
    assert labels.count("Epochs") == 12


def test_measures_are_listed_once():
    """Tables of one measure differ in the kind of noise."""
    titles = ("Best epoch: toy, blue", "Best epoch: toy, red", "Mean of the only epoch: toy")

    assert list_measures(Table(title, [], []) for title in titles) == (
        "best epoch, mean of the only epoch"
    )


def test_the_page_keeps_dark_light_and_paper_apart(html):
    """Dark colours are for screens alone; figures stand on a light card; what is folded prints."""
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)[1]

    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert "figure img { width: 100%; height: auto; display: block; background: #fff" in style
    assert "details::details-content { content-visibility: visible" in style
    assert not re.search(r"(?<!background: )#fff", style.replace("--paper: #fff", ""))


def test_a_table_of_a_paper_that_is_not_there_is_a_line(tmp_path, run_maker, spec_maker):
    """A study of another version names it; all else is reported."""
    run_maker(tmp_path / "runs" / "a", [50.0])
    entry = Published("no_such_table", {"40": "blue_40"}, {"Standard": "vanilla"})
    specs = [spec_maker("blue_40", "vanilla", recipe=Recipe("toy", "blue"))]
    write_study(tmp_path / "runs", specs, published=(entry,))
    problems = write_report(tmp_path / "runs", tmp_path / "out", files.default_root())

    assert any("not compared with a paper" in line and "no_such_table" in line for line in problems)
    assert (tmp_path / "out" / "index.html").is_file()


def test_the_sweep_that_recorded_a_study_is_named(tmp_path, run_maker, spec_maker):
    """Its command stands among the provenance."""
    run_maker(tmp_path / "runs" / "a", [50.0])
    write_study(tmp_path / "runs", [spec_maker("blue_40", "vanilla")])
    write_report(tmp_path / "runs", tmp_path / "out", files.default_root())

    assert "cnlw sweep toy" in (tmp_path / "out" / "index.html").read_text("utf-8")


@pytest.mark.parametrize(("n_galleries", "are_all_shown"), [(2, True), (40, False)])
def test_misjudged_images_take_a_few_megabytes(n_galleries, are_all_shown):
    """Images that no encoder makes smaller fill the room sooner; what is left out is said."""
    generator = np.random.default_rng(0)
    galleries = []
    for number in range(n_galleries):
        images = []
        for _ in range(5):
            pixels = generator.integers(0, 256, (96, 96, 3), np.uint8)
            images.append(MisjudgedImage(Image.fromarray(pixels), False, "cup", "mug", 1.0))
        galleries.append(MisjudgedGallery(f"method {number}", "run", images, images))
    shown, notes = page_galleries(galleries)
    addresses = []
    for gallery in shown:
        addresses += [image.address for image in (*gallery.clean, *gallery.noisy)]

    assert sum(map(len, addresses)) <= MAX_MISJUDGED_BYTES
    if are_all_shown:
        assert (len(shown), notes) == (n_galleries, [])
        return
    n_left = n_galleries - len(shown)
    assert 0 < n_left < n_galleries
    reason = "the page holds at most 3 MB of these images"
    assert notes == [f"{n_left} more methods are not shown: {reason}."]
