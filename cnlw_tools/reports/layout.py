"""Where things stand in a picture: margins follow from the measured size of all text.

So no label is cut, whatever the width of the picture and the size of its text. The width is given;
the height is what the axes, the titles, the labels and the legend need.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from cnlw_tools.reports.looks import GREY, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Affine2DBase, Transform

POINTS = 72  # in an inch
QUIET_TEXT = "#52525B"
MAX_PASSES = 4
TOLERANCE = 0.005  # inches
PADDING = 0.04  # around a picture, inches
AXES_HEIGHT = 0.6  # of the width of a picture
WIDE_AXES_HEIGHT = 0.45
MAX_NAME_WIDTH = 0.4  # of the width of a picture, for names at the right
# Ems: multiples of the size of text.
CELL_WIDTH, CELL_HEIGHT = 9.5, 6  # least width, and height, of small axes side by side
COLUMN_GAP, ROW_GAP = 0.8, 0.4
LINE_HEIGHT = 1.3
LETTER_WIDTH = 0.6  # most letters are narrower
LEADER, HANDLE = 1.2, 3.2  # widths of what stands between a line's end and its name
MAX_LEGEND_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class PlotStyle:
    """How large pictures and their text are."""

    width: float = 3.5  # inches
    wide_width: float = 7.2  # inches; of panels as wide as the page
    font_size: float = 9  # points

    @property
    def em(self) -> float:
        """The size of text, inches."""
        return self.font_size / POINTS

    def picture_width(self, is_wide: bool) -> float:
        """Return the width of a picture, inches."""
        return self.wide_width if is_wide else self.width


class EndLabel(NamedTuple):
    """The name of a line, at the right of the axes."""

    text: str
    x: float  # of the line's last point
    y: float
    look: Look
    is_strong: bool  # one of the lines that the eye should find


class PictureTexts(NamedTuple):
    """What is written around axes."""

    title: str
    x_label: str
    y_label: str


class Margins(NamedTuple):
    """What stands around axes, inches."""

    left: float
    right: float
    bottom: float
    top: float


def count_columns(n_cells: int, is_wide: bool, style: PlotStyle) -> int:
    """Return how many axes stand side by side in a picture."""
    available = style.picture_width(is_wide) - 4 * style.em
    n_fitting = int(available / ((CELL_WIDTH + COLUMN_GAP) * style.em))
    return max(1, min(n_cells, n_fitting))


def names_fit_at_right(labels: Sequence[EndLabel], is_wide: bool, style: PlotStyle) -> bool:
    """Return whether names leave room for the axes; else a legend below has them."""
    longest = max((len(label.text) for label in labels), default=0)
    return longest * LETTER_WIDTH * style.em < MAX_NAME_WIDTH * style.picture_width(is_wide)


def axes_height(
    n_cells: int,
    n_end_labels: int,
    is_wide: bool,
    style: PlotStyle,
) -> float:
    """Return the height of axes, inches: room for all names at their right."""
    if n_cells > 1:
        return CELL_HEIGHT * style.em
    share = WIDE_AXES_HEIGHT if is_wide else AXES_HEIGHT
    return max(share * style.picture_width(is_wide), n_end_labels * LINE_HEIGHT * style.em)


def wrap(text: str, width: float, style: PlotStyle) -> str:
    """Break a text into lines that are no longer than a width, inches."""
    n_letters = int(width / (LETTER_WIDTH * style.em))
    return textwrap.fill(text, max(n_letters, 8))


def wrap_cell_title(title: str, style: PlotStyle) -> str:
    """Break the title of small axes into lines as long as they are wide."""
    return wrap(title, CELL_WIDTH * style.em, style)


def add_legend(figure: "Figure", style: PlotStyle) -> None:
    """Add a legend of as many columns as fit, to be read line by line; none without labels."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if not labels:
        return
    available = figure.get_figwidth() - 2 * PADDING
    labels = [wrap(label, available - 4 * style.em, style) for label in labels]
    for n_columns in range(min(len(labels), MAX_LEGEND_COLUMNS), 0, -1):
        # Matplotlib fills a legend by columns.
        order: list[int] = []
        for column in range(n_columns):
            order += range(column, len(labels), n_columns)
        legend = figure.legend(
            [handles[i] for i in order],
            [labels[i] for i in order],
            loc="lower center",
            ncols=n_columns,
        )
        if _legend_size(figure)[0] <= available or n_columns == 1:
            return
        legend.remove()


def add_end_labels(
    axes: "Axes",
    labels: Sequence[EndLabel],
    is_wide: bool,
    style: PlotStyle,
) -> None:
    """Write the names of lines at the right of axes whose limits are set, in order of their ends.

    Between a line's end and its name stand a leader, and the look of the line.
    """
    height = axes_height(1, len(labels), is_wide, style)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    ends = [min(max((label.y - bottom) / (top - bottom), 0), 1) for label in labels]
    names = spread(ends, LINE_HEIGHT * style.em / height)
    leader, handle = LEADER * style.em, HANDLE * style.em
    margin = _right_margin(axes)
    for label, end, name in zip(labels, ends, names, strict=True):
        axes.annotate(
            "",
            xy=((label.x - left) / (right - left), end),
            xycoords="axes fraction",
            xytext=(leader, name),
            textcoords=margin,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0},
        )
        axes.add_artist(_handle(label, leader, handle, name, margin))
        axes.text(
            leader + handle + 0.4 * style.em,
            name,
            label.text,
            transform=margin,
            va="center_baseline",
            color="black" if label.is_strong else QUIET_TEXT,
            fontweight="bold" if label.is_strong else "normal",
        )


def _right_margin(axes: "Axes") -> "Transform":
    """Return the transform of x, inches right of the axes, and y, a fraction of their height."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101, axes are made by a figure
    corner = ScaledTranslation(1, 0, cast("Affine2DBase", axes.transAxes))
    inches = figure.dpi_scale_trans + corner
    return blended_transform_factory(inches, axes.transAxes)


def _handle(
    label: EndLabel,
    start: float,
    width: float,
    y: float,
    margin: "Transform",
) -> "Line2D":
    """Return the look of a line, to stand before its name."""
    from matplotlib.lines import Line2D

    return Line2D(
        [start, start + width / 2, start + width],
        [y, y, y],
        color=label.look.colour,
        linestyle=label.look.line_style,
        marker=label.look.marker,
        markevery=[1],
        transform=margin,
        clip_on=False,
    )


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Return positions at least a gap apart, in the same order, as near to the given as can be.

    They stay between 0 and 1 if there is room. Positions that are too close form a block around
    their mean, and blocks that touch are joined.

    Args:
        positions: between 0 and 1
        gap: the least distance
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[list[float]] = []  # the wanted start of a block, by its members
    for rank, i in enumerate(order):
        blocks.append([positions[i] - rank * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    starts = [_mean(block) for block in blocks for _ in block]
    highest = 1 - (len(positions) - 1) * gap
    result = [0.0] * len(positions)
    for rank, (i, start) in enumerate(zip(order, starts, strict=True)):
        result[i] = min(max(start, 0), max(highest, 0)) + rank * gap
    return result


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def place(
    figure: "Figure",
    height_of_axes: float,
    texts: PictureTexts,
    style: PlotStyle,
    room_for_legend: float,
) -> None:
    """Give all axes of a picture their place, write its title and labels, and set its height.

    Args:
        figure: its axes stand in a grid of any size
        height_of_axes: inches
        texts: around the axes
        style: sizes
        room_for_legend: inches
    """
    width = figure.get_figwidth()
    grid = figure.axes[0].get_subplotspec()
    n_columns = grid.get_gridspec().ncols if grid else 1
    n_rows = math.ceil(len(figure.axes) / n_columns)
    wrapped = PictureTexts(
        wrap(texts.title, width - 2 * PADDING, style),
        wrap(texts.x_label, width - 2 * PADDING, style),
        wrap(texts.y_label, n_rows * height_of_axes, style),
    )
    margins = measure(figure)
    for _ in range(MAX_PASSES):  # the numbers at the axes depend on their size
        frame = _place_axes(
            figure,
            n_columns,
            height_of_axes,
            wrapped,
            style,
            margins,
            room_for_legend,
        )
        needed = measure(figure)
        if all(a <= b + TOLERANCE for a, b in zip(needed, margins, strict=True)):
            break
        margins = Margins(*map(max, margins, needed))
    _write_texts(figure, wrapped, frame, room_for_legend)


class Frame(NamedTuple):
    """The outer edges of the axes of a picture, from its lower left corner, inches."""

    left: float
    right: float
    bottom: float
    top: float


def _place_axes(
    figure: "Figure",
    n_columns: int,
    height_of_axes: float,
    texts: PictureTexts,
    style: PlotStyle,
    margins: Margins,
    room_for_legend: float,
) -> Frame:
    """Give all axes of a picture their place, and set its height."""
    width = figure.get_figwidth()
    n_rows = math.ceil(len(figure.axes) / n_columns)
    line, gap = LINE_HEIGHT * style.em, COLUMN_GAP * style.em
    row_gap = margins.top + ROW_GAP * style.em
    left = PADDING + line * count_lines(texts.y_label) + margins.left
    right = width - PADDING - margins.right
    bottom = PADDING + room_for_legend + line * count_lines(texts.x_label) + margins.bottom
    top = bottom + n_rows * height_of_axes + (n_rows - 1) * row_gap
    height = top + margins.top + line * count_lines(texts.title) + PADDING
    axes_width = max((right - left - (n_columns - 1) * gap) / n_columns, style.em)
    figure.set_figheight(height)
    for i, axes in enumerate(figure.axes):
        x = left + (i % n_columns) * (axes_width + gap)
        y = top - height_of_axes - (i // n_columns) * (height_of_axes + row_gap)
        size = (axes_width / width, height_of_axes / height)
        axes.set_position((x / width, y / height, *size))
    return Frame(left, right, bottom, top)


def _write_texts(
    figure: "Figure",
    texts: PictureTexts,
    frame: Frame,
    room_for_legend: float,
) -> None:
    """Write the title and the labels of a picture, and move its legend to the bottom."""
    width, height = figure.get_figwidth(), figure.get_figheight()
    left, centre_y = PADDING / width, (frame.bottom + frame.top) / 2 / height
    figure.text(left, 1 - PADDING / height, texts.title, va="top")
    figure.text(left, centre_y, texts.y_label, rotation=90, ha="left", va="center")
    y = (PADDING + room_for_legend) / height
    x_label = figure.text(0.5, y, texts.x_label, ha="center", va="bottom")
    half = x_label.get_window_extent(_renderer(figure)).width / figure.dpi / 2
    centre_x = (frame.left + frame.right) / 2
    x_label.set_x(min(max(centre_x, PADDING + half), width - PADDING - half) / width)
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0.5, PADDING / height))


def count_lines(text: str) -> int:
    """Return the lines of a text; none of an empty one."""
    return text.count("\n") + 1 if text else 0


def measure(figure: "Figure") -> Margins:
    """Return what stands around the axes of a picture, the most that any of them needs."""
    renderer = _renderer(figure)
    left = right = bottom = top = 0.0
    for axes in figure.axes:
        inner, outer = axes.get_window_extent(), axes.get_tightbbox(renderer)
        if outer is not None:
            left = max(left, (inner.x0 - outer.x0) / figure.dpi)
            right = max(right, (outer.x1 - inner.x1) / figure.dpi)
            bottom = max(bottom, (inner.y0 - outer.y0) / figure.dpi)
            top = max(top, (outer.y1 - inner.y1) / figure.dpi)
    return Margins(left, right, bottom, top)


def legend_height(figure: "Figure", style: PlotStyle) -> float:
    """Return the room that the legend of a picture needs, inches; 0 without one."""
    if not figure.legends:
        return 0.0
    return _legend_size(figure)[1] + LINE_HEIGHT * style.em / 2


def _legend_size(figure: "Figure") -> tuple[float, float]:
    """Return width and height of the legend, inches."""
    box = figure.legends[0].get_window_extent(_renderer(figure))
    return box.width / figure.dpi, box.height / figure.dpi


def _renderer(figure: "Figure") -> "RendererBase":
    """Return what measures the text of a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    renderer: RendererBase = canvas.get_renderer()
    return renderer
