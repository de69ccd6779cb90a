"""The figures as files: their formats, their width and the size of their text.

1 in = 2.54 cm = 25.4 mm = 72.27 pt    LaTeX's point, as in \\the\\columnwidth
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from cnlw_tools.registry.extras import EXTRAS, install_command
from cnlw_tools.reports.layout import PlotStyle
from cnlw_tools.reports.plotting import FORMATS, PAGE_STYLE

INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
LEAST_WIDTH, GREATEST_WIDTH = 1.5, 40.0  # inches
LEAST_FONT_SIZE, GREATEST_FONT_SIZE = 4.0, 40.0  # points
LEAST_EMS = 16  # of text, in a width
PACKAGE = "matplotlib"  # draws the figures


@dataclass(frozen=True, slots=True)
class FigureFiles:
    """What is written of each panel."""

    formats: tuple[str, ...] = ("svg",)
    style: PlotStyle = PAGE_STYLE


PAGE_FILES = FigureFiles()


def choose_figure_files(
    formats: Sequence[str] = (),
    width: str | float | None = None,
    font_size: float | None = None,
) -> FigureFiles:
    """Return what to write of each panel.

    Args:
        formats: svg, pdf or png; none: svg
        width: of every picture, inches or a text with a unit. Default: as on the page, where a
            panel of many lines is wider than others
        font_size: points; by default as on the page

    Raises:
        ValueError: a format is unknown, or a size makes no picture
        ModuleNotFoundError: what draws the figures is not installed
    """
    _require_package()
    for name in formats:
        if name not in FORMATS:
            raise ValueError(
                f"{name!r}: there is no such format of figures: use {', '.join(FORMATS)}"
            )
    size = PAGE_STYLE.font_size if font_size is None else font_size
    _check_range("font size", size, LEAST_FONT_SIZE, GREATEST_FONT_SIZE, "points")
    style = PlotStyle(PAGE_STYLE.width, PAGE_STYLE.wide_width, size)
    if width is not None:
        inches = read_width(width)
        style = PlotStyle(inches, inches, size)
    if style.width < LEAST_EMS * style.em:
        least = LEAST_EMS * style.em
        raise ValueError(
            f"width {style.width:.2f} in, font size {size:g}: there is no room for axes beside the "
            f"text: give a width of {least:.2f} in or more, or a smaller font size"
        )
    return FigureFiles(tuple(dict.fromkeys(formats)) or ("svg",), style)


def read_width(width: str | float) -> float:
    """Return a width in inches, from ``3.25in``, ``8.3 cm``, ``84mm``, ``234pt`` or a number.

    Raises:
        ValueError: it is not a length, or not a possible width of a picture
    """
    if isinstance(width, str):
        match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(in|cm|mm|pt)\s*", width)
        if match is None:
            raise ValueError(
                f"width {width!r} is not allowed: give a number with a unit (in, cm, mm or "
                "pt), such as 3.25in"
            )
        number, unit = match.groups()
        width = float(number) * INCHES[unit]
    _check_range("width", width, LEAST_WIDTH, GREATEST_WIDTH, "inches")
    return width


def _require_package() -> None:
    """Raise if nothing could draw; the drawing itself would fail only after all runs are read."""
    if find_spec(PACKAGE) is None:
        raise ModuleNotFoundError(
            f"figures need {PACKAGE}, which is not installed: {install_command(EXTRAS[PACKAGE])}",
            name=PACKAGE,
        )


def _check_range(name: str, value: float, least: float, greatest: float, unit: str) -> None:
    if not (math.isfinite(value) and least <= value <= greatest):
        raise ValueError(
            f"{name} {value:g} {unit} is not allowed: give a value from {least:g} to "
            f"{greatest:g} {unit}"
        )
