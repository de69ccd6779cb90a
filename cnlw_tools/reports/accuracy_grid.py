"""Accuracy over two numbers: a square for each pair."""

from typing import TYPE_CHECKING

import numpy as np

from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.plotting import Plot, PlotFunction, draw_panels
from cnlw_tools.reports.study_file import FigurePosition, dataset_config
from cnlw_tools.reports.tables import NOT_RUN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_COLUMNS = 7  # of squares whose numbers fit into a narrow picture
Squares = dict[tuple[float, float], float | None]  # x, y -> top-1; None: planned, but not run


def plot_accuracy_grid(context: ReportContext) -> Figure:
    """Draw accuracy over the two numbers `x_axis` and `y_axis` of the study, a panel a method."""
    study = context.study_record.study
    squares_by_title = collect_squares(context)
    values = []
    for squares in squares_by_title.values():
        values += [value for value in squares.values() if value is not None]
    plots = {}
    if values:
        for title, squares in squares_by_title.items():
            plot = _square_plot(squares, min(values), max(values))
            caption = _describe_squares(squares, study.x_axis, study.y_axis)
            n_columns = len({x for x, _ in squares})
            plots[title] = Plot({"": plot}, caption, is_wide=n_columns > MAX_COLUMNS)
    return Figure(
        f"Accuracy ({context.select_by}) over {study.x_axis} and {study.y_axis}",
        draw_panels(
            study.x_axis,
            study.y_axis,
            plots,
            same_scale=False,
        ),
    )


def collect_squares(context: ReportContext) -> dict[str, Squares]:
    """Return top-1 by both numbers for every panel, with squares that are planned but not run."""
    record = context.study_record
    y_name = record.study.y_axis
    squares_by_title: dict[str, Squares] = {}

    def add_square(
        position: FigurePosition | None,
        y: float | None,
        value: float | None,
    ) -> None:
        if position is not None and y is not None:
            title = f"{position.panel}: {position.line}"
            squares_by_title.setdefault(title, {})[position.x, y] = value

    for spec in record.run_specs:
        if spec.method:
            options = {**spec.changes, **spec.options}
            y = record.numeric_value(y_name, dataset_config(spec), options)
            add_square(record.planned_position(spec, exclude=[y_name]), y, None)
    for trial in context.trials:
        y = record.numeric_value(y_name, trial.dataset_config, trial.options)
        accuracy = trial.results[context.select_by].mean
        add_square(record.position(trial, exclude=[y_name]), y, accuracy)
    return squares_by_title


def _describe_squares(squares: Squares, x_name: str, y_name: str) -> str:
    """Return a sentence on the highest and the lowest accuracy."""
    results = []
    for (x, y), value in squares.items():
        if value is not None:
            results.append((value, f"{value:.1f} % at {x_name} {x:g} and {y_name} {y:g}"))
    if not results:
        return "None of these runs has a result."
    return f"The highest accuracy is {max(results)[1]}; the lowest is {min(results)[1]}."


def _square_plot(
    squares: Squares,
    lowest: float,
    highest: float,
) -> PlotFunction:
    """Return a plot of squares whose colours go from the lowest to the highest value."""

    def plot(axes: "Axes") -> None:
        xs = sorted({x for x, _ in squares})
        ys = sorted({y for _, y in squares})
        rows = [[squares.get((x, y)) for x in xs] for y in ys]
        values = np.array(rows, np.float64)  # None is nan
        axes.imshow(
            values,
            origin="lower",
            aspect="auto",
            cmap="viridis",
            vmin=lowest,
            vmax=highest,
        )
        for (j, i), value in np.ndenumerate(values):
            is_bright = np.isnan(value) or value > (lowest + highest) / 2
            axes.text(
                i,
                j,
                _square_text(value, is_planned=(xs[i], ys[j]) in squares),
                ha="center",
                va="center",
                color="black" if is_bright else "white",
            )
        axes.set_xticks(range(len(xs)), [f"{x:g}" for x in xs])
        axes.set_yticks(range(len(ys)), [f"{y:g}" for y in ys])
        axes.grid(visible=False)

    return plot


def _square_text(value: float, is_planned: bool) -> str:
    if np.isnan(value):
        return NOT_RUN if is_planned else ""
    return f"{value:.1f}"
