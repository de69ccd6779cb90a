"""Plots of a report: one small picture for each panel, so that they flow on a page of any width.

What a panel shows is kept, and drawn when it is saved: on the page at one width and size of text,
in a file at those that a paper asks for. The same data give the same bytes. Only functions that
draw import matplotlib, which takes longer than all other imports of a report.
"""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cnlw_tools.reports.layout import (
    EndLabel,
    PictureTexts,
    PlotStyle,
    add_end_labels,
    add_legend,
    axes_height,
    count_columns,
    legend_height,
    names_fit_at_right,
    place,
    wrap_cell_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PlotFunction = Callable[["Axes"], None]  # draws into the axes of a panel
Bounds = tuple[float, float]

FORMATS = ("svg", "pdf", "png")
TOP1_LABEL = "top-1, %"
EPOCH_LABEL = "epoch"
UNBOUNDED: Bounds = (-math.inf, math.inf)
PERCENT: Bounds = (0, 100)
LEAST_SPAN = 5  # of a bounded axis

TEXT_SIZES: Any = (
    "font.size",
    "axes.titlesize",
    "axes.labelsize",
    "xtick.labelsize",
    "ytick.labelsize",
    "legend.fontsize",
)
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E7",
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "path",  # looks alike where the font is missing
    "svg.hashsalt": "cnlw",
    "text.parse_math": False,
}

PAGE_STYLE = PlotStyle()


@dataclass(frozen=True, slots=True)
class Plot:
    """What a panel shows."""

    # Title -> what draws it: one without a title, or many small axes side by side.
    cells: Mapping[str, PlotFunction]
    caption: str = ""  # sentences: what it shows, in numbers
    end_labels: Sequence[EndLabel] = ()  # names at the right; else there is a legend below
    is_wide: bool = False  # as wide as the page


@dataclass(frozen=True, eq=False)
class Sheet:
    """Panels that are drawn alike."""

    x_label: str
    y_label: str
    plots: Mapping[str, Plot]  # by title
    same_scale: bool
    y_bounds: Bounds


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a figure."""

    title: str
    sheet: Sheet

    @property
    def caption(self) -> str:
        """Sentences that say what it shows, in numbers."""
        return self.sheet.plots[self.title].caption

    @property
    def is_wide(self) -> bool:
        """Whether it is as wide as the page."""
        return self.sheet.plots[self.title].is_wide

    @property
    def svg(self) -> str:
        """The picture on the page."""
        return self.save("svg").decode()

    def save(self, file_format: str, style: PlotStyle = PAGE_STYLE) -> bytes:
        """Return the picture as a file: svg, pdf or png."""
        figure = draw_sheet(self.sheet, style)[self.title]
        buffer = io.BytesIO()
        with drawing_settings(style):
            figure.savefig(buffer, format=file_format, metadata=self._metadata(file_format))
        return buffer.getvalue()

    def _metadata(self, file_format: str) -> dict[str, Any]:
        """Return what a file says about itself; no date, so the same data give the same bytes."""
        if file_format == "svg":
            return {"Date": None, "Title": self.title, "Description": self.caption}
        if file_format == "pdf":
            return {"CreationDate": None, "Title": self.title, "Subject": self.caption}
        return {"Title": self.title, "Description": self.caption}


def draw_panels(
    x_label: str,
    y_label: str,
    plots: Mapping[str, Plot],
    same_scale: bool = True,
    y_bounds: Bounds = UNBOUNDED,
) -> list[Panel]:
    """Return a panel for each plot.

    Args:
        x_label: of all panels; "epoch" has whole numbers
        y_label: of all panels
        plots: by title
        same_scale: all panels have the same limits of y, and of epochs
        y_bounds: the least and the greatest number that the y axis may show
    """
    sheet = Sheet(x_label, y_label, plots, same_scale, y_bounds)
    return [Panel(title, sheet) for title in plots]


@lru_cache(maxsize=4)
def draw_sheet(sheet: Sheet, style: PlotStyle) -> "dict[str, Figure]":
    """Return the pictures of a sheet, by title."""
    with drawing_settings(style):
        figures = {}
        for title, plot in sheet.plots.items():
            figures[title] = _draw_cells(sheet, plot, style)
        _set_limits(sheet, list(figures.values()))
        n_names = {}
        for title, plot in sheet.plots.items():
            n_names[title] = _name_lines(figures[title], plot, style)
        legend_room = max((legend_height(figure, style) for figure in figures.values()), default=0)
        for title, plot in sheet.plots.items():
            place(
                figures[title],
                axes_height(len(plot.cells), n_names[title], plot.is_wide, style),
                PictureTexts(title, sheet.x_label, sheet.y_label),
                style,
                legend_room if figures[title].legends else 0,
            )
    return figures


def _name_lines(figure: "Figure", plot: Plot, style: PlotStyle) -> int:
    """Name the lines of a picture, below or at the right; return how many stand at the right."""
    if len(plot.cells) > 1:
        return 0
    labels = plot.end_labels
    if not labels or not names_fit_at_right(labels, plot.is_wide, style):
        add_legend(figure, style)
        return 0
    add_end_labels(figure.axes[0], labels, plot.is_wide, style)
    return len(labels)


@contextmanager
def drawing_settings(style: PlotStyle) -> Iterator[None]:
    """Draw with our settings, whatever the user's matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**STYLE, **dict.fromkeys(TEXT_SIZES, style.font_size)})
        yield


def _draw_cells(sheet: Sheet, plot: Plot, style: PlotStyle) -> "Figure":
    """Draw the axes of a picture, which have no place yet."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(style.picture_width(plot.is_wide), style.width))
    n_cells = len(plot.cells)
    n_columns = count_columns(n_cells, plot.is_wide, style)
    for i, (title, draw) in enumerate(plot.cells.items()):
        axes = figure.add_subplot(math.ceil(n_cells / n_columns), n_columns, i + 1)
        if sheet.x_label == EPOCH_LABEL:
            n_ticks = 6 if n_cells == 1 else 3
            axes.xaxis.set_major_locator(MaxNLocator(n_ticks, integer=True, min_n_ticks=1))
        draw(axes)
        if title:
            axes.set_title(wrap_cell_title(title, style), loc="left", pad=2)
            is_left, is_lowest = i % n_columns == 0, i + n_columns >= n_cells
            axes.tick_params(left=is_left, labelleft=is_left)
            axes.tick_params(bottom=is_lowest, labelbottom=is_lowest)
    return figure


def _set_limits(sheet: Sheet, figures: "Sequence[Figure]") -> None:
    """Set the limits of all axes: alike within a picture, and in all if they share a scale."""
    groups = [figure.axes for figure in figures]
    for group in groups:
        _share_x_limits(group)
    if sheet.same_scale:
        groups = [[axes for group in groups for axes in group]]
    for group in groups:
        if sheet.x_label == EPOCH_LABEL:
            _share_x_limits(group)
        low, high = _outer_limits([axes.get_ylim() for axes in group])
        for axes in group:
            axes.set_ylim(bound_limits(low, high, sheet.y_bounds))


def _share_x_limits(group: "Sequence[Axes]") -> None:
    limits = _outer_limits([axes.get_xlim() for axes in group])
    for axes in group:
        axes.set_xlim(limits)


def _outer_limits(limits: Sequence[Bounds]) -> Bounds:
    return min(low for low, _ in limits), max(high for _, high in limits)


def bound_limits(low: float, high: float, bounds: Bounds) -> Bounds:
    """Return limits of an axis within bounds; a bounded axis spans at least five."""
    if bounds == UNBOUNDED:
        return low, high
    least, greatest = bounds
    low, high = max(low, least), min(high, greatest)
    missing = LEAST_SPAN - (high - low)
    if missing > 0:
        low = min(max(low - missing / 2, least), greatest - LEAST_SPAN)
        high = low + LEAST_SPAN
    return low, high
