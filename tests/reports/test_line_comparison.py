"""Lines that are compared in one panel."""

from itertools import pairwise

import numpy as np
import pytest

from cnlw_tools.reports.line_comparison import (
    Comparison,
    Line,
    compare_lines,
    describe_ends,
    epoch_plot,
)
from cnlw_tools.reports.looks import line_look
from cnlw_tools.reports.plotting import PAGE_STYLE, draw_panels, draw_sheet

ACCURACY = Comparison(unit=" %", is_band=False, is_interval=True)


def make_lines(n_lines: int) -> list[Line]:
    """Return lines over three levels, each below the one before."""
    lines = []
    for i in range(n_lines):
        means = [90.0 - i, 80.0 - i, 70.0 - 2 * i]
        bounds = [m - 5 for m in means], [m + 5 for m in means]
        lines.append(Line(f"method{i}", [0, 20, 40], means, *bounds))
    return lines


def draw(lines: list[Line], comparison: Comparison = ACCURACY):
    """Return the figures that compare lines, by title."""
    order = [line.label for line in lines]
    plots = compare_lines({"all": lines}, order, comparison, lambda x: f"At {x:g} %")
    panels = draw_panels("level, %", "top-1, %", plots)
    return draw_sheet(panels[0].sheet, PAGE_STYLE), plots


def test_up_to_29_lines_have_looks_of_their_own():
    """No pair of colour and line style, and none of colour and marker, comes twice; 64 differ."""
    looks = [line_look(i) for i in range(29)]

    assert len({(look.colour, str(look.line_style)) for look in looks}) == 29
    assert len({(look.colour, look.marker) for look in looks}) == 29
    assert len({(look.colour, look.marker) for look in map(line_look, range(64))}) == 64


def test_29_lines_are_named_at_their_ends_in_their_order():
    """Names do not touch, stand within the picture, and are as high as their lines rank."""
    figures, plots = draw(make_lines(29))
    (axes,) = figures["all"].axes
    names = [text for text in axes.texts if text.get_text()]
    boxes = [name.get_window_extent() for name in names]
    heights = [box.y0 for box in boxes]

    assert [name.get_text() for name in names] == [f"method{i}" for i in range(29)]
    assert heights == sorted(heights, reverse=True)
    assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes))
    assert all(box.x1 <= figures["all"].bbox.x1 for box in boxes)
    lines = [line for line in axes.lines if line.get_label().startswith("method")]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 29
    assert plots["all"].is_wide


def test_many_lines_have_small_axes_each():
    """Each has its name as a title, its values, and the same limits as all others."""
    lines = make_lines(12)
    figures, _ = draw(lines)
    cells = figures["all: one by one"].axes

    assert [axes.get_title(loc="left") for axes in cells] == [line.label for line in lines]
    assert len({axes.get_ylim() for axes in cells} | {figures["all"].axes[0].get_ylim()}) == 1
    for axes, line in zip(cells, lines, strict=True):
        (own,) = [drawn for drawn in axes.lines if drawn.get_label() == line.label]
        assert list(own.get_ydata()) == line.means


def test_eight_lines_have_a_legend_and_no_small_axes():
    """All of them are strong."""
    figures, plots = draw(make_lines(8))

    assert list(plots) == ["all"]
    (legend,) = figures["all"].legends
    assert len(legend.get_texts()) == 8


def test_no_bars_lie_on_each_other():
    """Bars of one level stand at x of their own, nearer to it than to the next level."""
    lines = [line._replace(means=[50.0] * 3) for line in make_lines(8)]
    lines = [line._replace(lows=[40.0] * 3, highs=[60.0] * 3) for line in lines]
    figures, _ = draw(lines)
    (axes,) = figures["all"].axes
    drawn = [line for line in axes.lines if line.get_label().startswith("method")]
    xs = np.array([line.get_xdata() for line in drawn])

    for i, level in enumerate((0, 20, 40)):
        assert len(set(xs[:, i])) == 8
        assert abs(xs[:, i] - level).max() < 10
        assert xs[:, i].mean() == pytest.approx(level)


@pytest.mark.parametrize(
    ("n_lines", "sentence"),
    [
        (1, "At 40 %: method0 70.0 ± 5.0 %."),
        (2, "At 40 %: method0 70.0 ± 5.0 %, method1 68.0 ± 5.0 %."),
        (
            5,
            "At 40 % the highest are method0 70.0 ± 5.0 %, method1 68.0 ± 5.0 %, "
            "method2 66.0 ± 5.0 %; the lowest of 5 is method4 62.0 ± 5.0 %.",
        ),
    ],
)
def test_a_finding_says_who_ends_highest(n_lines, sentence):
    """Few are all told; of many the highest three and the lowest."""
    assert describe_ends(make_lines(n_lines), ACCURACY, "At 40 %") == sentence


def test_a_finding_says_where_the_first_stands():
    """The first is the one that others are compared with; of drops the lowest is best."""
    lines = [make_lines(6)[i] for i in (4, 0, 1, 2, 3, 5)]
    drops = Comparison(unit=" points", is_band=False, is_interval=True, low_is_good=True)

    assert "method4 62.0 ± 5.0 % is number 5; the lowest of 6 is method5" in describe_ends(
        lines, ACCURACY, "At 40 %"
    )
    assert describe_ends(lines, drops, "At 40 %").startswith("At 40 % the lowest are method5 60.0")


def test_a_finding_is_of_lines_that_reach_the_greatest_x():
    """A line that ends earlier is named apart, and its end is not given as a result there."""
    lines = make_lines(3)
    short = lines[0]
    bounds = {"lows": short.lows[:2], "highs": short.highs[:2]}
    lines[0] = short._replace(xs=[0, 20], means=short.means[:2], **bounds)
    _, plots = draw(lines)

    assert plots["all"].caption == (
        "At 40 %: method1 68.0 ± 5.0 %, method2 66.0 ± 5.0 %. There is no result there for method0."
    )


def test_what_was_not_recorded_is_not_in_the_finding():
    """Nan is no number to report; without any number there is no sentence."""
    nan = float("nan")

    assert epoch_plot({"a": [1.0, nan], "b": [nan, 2.0]}).caption == "After the last epoch: b 2."
    assert epoch_plot({"a": [1.0, nan]}).caption == ""
