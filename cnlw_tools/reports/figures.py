"""Drawing the figures that a study asks for, by name; `study.figures.FIGURES` declares them."""

from collections.abc import Callable

from cnlw_tools.registry import ImportOnUse
from cnlw_tools.reports.context import Figure, ReportContext
from cnlw_tools.reports.study_file import list_names
from cnlw_tools.study.figures import FIGURES

DrawFigure = Callable[[ReportContext], Figure]

FUNCTIONS: ImportOnUse[DrawFigure] = ImportOnUse(
    "cnlw_tools.reports", {name: spec.function for name, spec in FIGURES.items()}
)


def draw_figure(name: str, context: ReportContext) -> Figure:
    """Draw a figure; one that shows builds says which configs are not built."""
    figure = FUNCTIONS[name](context)
    if FIGURES[name].shows_builds:
        planned = context.study_record.build_configs()
        missing = [config for build, config in planned if (build, config) not in context.truths]
        if missing:
            figure.problems.append(list_names("Not built", missing))
    return figure
