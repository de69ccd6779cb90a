"""Pictures: nothing is cut, and the same data give the same bytes."""

import hashlib
import os
import re
import subprocess
import sys
import zlib

import pytest

from cnlw_tools.reports.layout import PlotStyle, spread
from cnlw_tools.reports.line_comparison import Comparison, Line, compare_lines, epoch_plot
from cnlw_tools.reports.plotting import (
    FORMATS,
    PAGE_STYLE,
    PERCENT,
    UNBOUNDED,
    Plot,
    bound_limits,
    draw_panels,
    draw_sheet,
    drawing_settings,
)

STYLES = (PAGE_STYLE, PlotStyle(2.5, 2.5, 8), PlotStyle(3.25, 3.25, 14), PlotStyle(7, 7, 24))
LONG = "a name that is much longer than any name of a method, alpha=8 per=batch order=reverse"


def sheets():
    """Yield panels with long names, many lines, huge numbers, and no line at all."""
    band = Comparison(unit=" %", is_band=True, is_interval=False)
    lines = []
    for i in range(10):
        name = f"{'a_long_name_' * (i % 3)}{i}"
        lines.append(Line(name, range(1, 5), [float(i)] * 4, [i - 1.0] * 4, [i + 1.0] * 4))
    order = [line.label for line in lines]
    many = compare_lines({LONG: lines}, order, band, lambda x: "In the end")
    few = compare_lines(
        {LONG: [lines[0]._replace(label=LONG), *lines[1:3]]}, [LONG, *order], band, str
    )
    yield draw_panels("epoch", "top-1, %", many, y_bounds=PERCENT)
    yield draw_panels("epoch", LONG, few)
    yield draw_panels(LONG, "loss", {"": epoch_plot({"huge": [1e7, 1.0]}, {"one": 1.0})})
    yield draw_panels("x", "y", {"none": Plot({"": lambda axes: None})})


@pytest.mark.parametrize("style", STYLES)
def test_all_text_stands_within_the_picture_in_the_size_asked_for(style):
    """Whatever the width, the size of text, and the length of names; legends and ticks too."""
    assert PAGE_STYLE.font_size >= 8
    for panels in sheets():
        for panel in panels:
            figure = draw_sheet(panel.sheet, style)[panel.title]
            with drawing_settings(style):
                figure.draw_without_rendering()
                texts = visible_texts(figure)
                boxes = [text.get_window_extent() for text in texts]
            assert {text.get_fontsize() for text in texts} == {style.font_size}
            assert figure.get_figwidth() == style.picture_width(panel.is_wide)
            assert min(min(box.x0, box.y0) for box in boxes) >= 0
            assert max(box.x1 for box in boxes) <= figure.bbox.x1
            assert max(box.y1 for box in boxes) <= figure.bbox.y1


def visible_texts(figure):
    """Return all texts of a figure that are drawn."""
    texts = [*figure.texts]
    for legend in figure.legends:
        texts += legend.get_texts()
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes._left_title]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high and tick.label1.get_visible():
                    texts.append(tick.label1)
    return [text for text in texts if text.get_text()]


def digests():
    """Return the digest of a picture in every format."""
    panel = list(sheets())[1][0]
    return [hashlib.sha256(panel.save(file_format)).hexdigest() for file_format in FORMATS]


def test_the_same_data_give_the_same_bytes_in_every_process():
    """So it is with every format, whatever the seed of Python's hashes: the other process has another."""
    code = "from tests.reports.test_plotting import digests; print(*digests())"
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, env=environment, text=True)

    assert output.split() == digests()
    assert len({*output.split()}) == len(FORMATS)


def test_matplotlib_is_imported_where_a_picture_is_drawn():
    """Wrong input is answered before; and no picture asks for a screen, as pyplot does."""
    code = """
import sys
import cnlw_tools.reports.write
from cnlw_tools.reports.figure_files import choose_figure_files
from cnlw_tools.study.figures import FIGURES
from cnlw_tools.reports.figures import FUNCTIONS
from tests.reports.test_plotting import sheets

for name in FIGURES:
    FUNCTIONS[name]
choose_figure_files(["png"], "3in", 8)
print("matplotlib" in sys.modules)
panels = next(sheets())
panels[0].save("png")
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)

    assert output.split() == ["False", "True", "False"]


def test_a_pdf_has_text_and_no_date():
    """A font of outlines that a reader can search and copy; the title is the panel's."""
    (panel,) = draw_panels("epoch", "top-1, %", {"shapes, red_40": epoch_plot({"a": [1.0, 2.0]})})
    data = panel.save("pdf")
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.S)
    texts = b"".join(zlib.decompressobj().decompress(stream) for stream in streams)

    assert b"/FontFile2" in data
    assert b"/ToUnicode" in data
    assert b" Tj" in texts or b" TJ" in texts
    assert b"/Title (shapes, red_40)" in data
    assert b"/Subject (After the last epoch: a 2.)" in data
    assert b"Date" not in data


def test_names_are_no_mathematics():
    """A method may be called by dollars."""
    (panel,) = draw_panels("epoch", "y", {"t": epoch_plot({r"$\alpha$ and $x": [1.0]})})

    assert r"<!-- $\alpha$ and $x -->" in panel.svg


@pytest.mark.parametrize(
    ("limits", "bounds", "expected"),
    [
        ((-200, 250), PERCENT, (0, 100)),
        ((20, 80), PERCENT, (20, 80)),
        ((99, 104), PERCENT, (95, 100)),
        ((-1, 1), PERCENT, (0, 5)),
        ((49, 51), PERCENT, (47.5, 52.5)),
        ((-200, 250), UNBOUNDED, (-200, 250)),
    ],
)
def test_limits_stay_within_bounds(limits, bounds, expected):
    """They span five points at least, so that nothing looks like a difference that is none."""
    assert bound_limits(*limits, bounds) == expected


@pytest.mark.parametrize(
    ("positions", "gap", "expected"),
    [
        ([], 0.1, []),
        ([0.5], 0.1, [0.5]),
        ([0.2, 0.8], 0.1, [0.2, 0.8]),
        ([0.5, 0.5], 0.2, [0.4, 0.6]),
        ([0.6, 0.5, 0.1], 0.2, [0.65, 0.45, 0.1]),
        ([1.0, 1.0, 1.0], 0.2, [0.6, 0.8, 1.0]),
        ([0.0, 0.0], 0.2, [0.0, 0.2]),
    ],
)
def test_names_are_spread_to_a_gap(positions, gap, expected):
    """They move as little as can be, together, and stay within the axes."""
    assert spread(positions, gap) == pytest.approx(expected)
