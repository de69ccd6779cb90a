"""The page: page.html, filled in. Pictures are part of it, so that it is one file."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from cnlw_tools import __version__
from cnlw_tools.reports.context import Figure
from cnlw_tools.reports.diagnostics import Diagnostics
from cnlw_tools.reports.tables import Table
from cnlw_tools.study.figures import FIGURES

TitledAddress = tuple[str, str]  # title, and a data URL


class PagePanel(NamedTuple):
    """A plot as the page needs it."""

    title: str
    address: str  # a data URL
    finding: str  # sentences: what it shows, in numbers
    is_wide: bool


class PageFigure(NamedTuple):
    """A figure whose pictures are data URLs."""

    title: str
    about: str
    panels: list[PagePanel]
    images: list[TitledAddress]
    tables: list[Table]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class PageContent:
    """What the page shows, from top to bottom."""

    title: str
    about: str
    notes: Sequence[str]
    results: Sequence[Table]
    comparisons: Sequence[Table]  # with the papers
    figures: Mapping[str, Figure]  # by name in the study
    diagnostics: Diagnostics
    trials: Table
    provenance: Sequence[Table]


def render_page(content: PageContent) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader("cnlw_tools.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    diagnostics = content.diagnostics
    figures = []
    for name, figure in content.figures.items():
        if not figure.is_empty:
            figures.append(page_figure(name, figure))
    return environment.get_template("page.html").render(
        title=content.title or "Runs",
        about=content.about,
        notes=content.notes,
        results=content.results,
        comparisons=content.comparisons,
        figures=figures,
        matrices=[(title, png_address(image)) for title, image in diagnostics.matrices],
        galleries=[(title, jpeg_address(image)) for title, image in diagnostics.galleries],
        detection=diagnostics.detection,
        trials=content.trials,
        has_trials=bool(content.trials.rows),
        provenance=content.provenance,
        version=__version__,
    )


def page_figure(name: str, figure: Figure) -> PageFigure:
    """Return a figure as the page needs it."""
    panels = []
    for panel in figure.panels:
        address = svg_address(panel.svg)
        panels.append(PagePanel(panel.title, address, panel.finding, panel.is_wide))
    return PageFigure(
        title=figure.title,
        about=f"{FIGURES[name].about}.",
        panels=panels,
        images=[(title, png_address(image)) for title, image in figure.images],
        tables=figure.tables,
        problems=figure.problems,
    )


def svg_address(svg: str) -> str:
    """Return an SVG as a data URL; as images, several on a page do not share ids."""
    return _data_url("svg+xml", svg.encode())


def png_address(image: Image.Image) -> str:
    """Return a picture of few colours as a data URL."""
    return _data_url("png", _encode(image.quantize(64), "PNG", optimize=True))


def jpeg_address(image: Image.Image) -> str:
    """Return photographs as a data URL."""
    return _data_url("jpeg", _encode(image, "JPEG", quality=88))


def _encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _data_url(subtype: str, data: bytes) -> str:
    return f"data:image/{subtype};base64,{base64.b64encode(data).decode()}"
