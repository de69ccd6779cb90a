"""The page: page.html, filled in. Pictures are part of it, so that it is one file.

It begins with what came of the runs, in sentences, a figure and one table; the rest follows. A
table that is wider than the screen of a phone becomes a list of its cells there.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from cnlw_tools import __version__
from cnlw_tools.reports.context import Figure
from cnlw_tools.reports.diagnostics import Diagnostics
from cnlw_tools.reports.finding import Finding
from cnlw_tools.reports.misjudged import MisjudgedGallery, MisjudgedImage
from cnlw_tools.reports.tables import Table
from cnlw_tools.study.figures import FIGURES

TitledAddress = tuple[str, str]  # title, and a data URL


# In pixels, estimated: a letter, what surrounds a cell, and what is left beside the margins.
LETTER, CELL_PADDING, PHONE, DESK = 6.6, 11, 358, 1180
MAX_SHORT_ROWS = 13  # of a table that fits on a sheet with its title


class PagePanel(NamedTuple):
    """A plot as the page needs it."""

    title: str
    address: str  # a data URL
    finding: str  # sentences: what it shows, in numbers
    is_wide: bool


class PageTable(NamedTuple):
    """A table with the names that the style sheet knows it by."""

    table: Table
    style: str


class PageFigure(NamedTuple):
    """A figure whose pictures are data URLs."""

    title: str
    about: str
    panels: list[PagePanel]
    images: list[TitledAddress]
    tables: list[PageTable]
    problems: list[str]


class PageImage(NamedTuple):
    """An image with what was said of it."""

    address: str  # a data URL
    size: tuple[int, int]  # in pixels
    description: str  # for those who cannot see it
    image: MisjudgedImage


class PageGallery(NamedTuple):
    """Images whose loss misleads."""

    gallery: MisjudgedGallery
    clean: list[PageImage]
    noisy: list[PageImage]


@dataclass(frozen=True, slots=True)
class PageContent:
    """What the page shows, from top to bottom."""

    title: str
    date: str  # of the newest run; empty: there is none
    about: str
    findings: Sequence[Finding]
    measure: str  # what the numbers of the findings are
    results: Sequence[Table]  # of the metric that selects
    other_results: Sequence[Table]
    notes: Sequence[str]
    comparisons: Sequence[Table]  # with the papers
    figures: Mapping[str, Figure]  # by name in the study
    misjudged: Sequence[MisjudgedGallery]
    misjudged_notes: Sequence[str]  # what is not shown of it
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
    (trials,) = page_tables([content.trials])
    return environment.get_template("page.html").render(
        title=content.title,
        date=content.date,
        about=content.about,
        findings=content.findings,
        measure=content.measure,
        results=page_tables(content.results),
        other_results=page_tables(content.other_results),
        notes=content.notes,
        comparisons=page_tables(content.comparisons),
        lead=next((figure for figure in figures if figure.panels), None),
        figures=figures,
        misjudged_notes=content.misjudged_notes,
        misjudged=[page_gallery(gallery) for gallery in content.misjudged],
        matrices=[(title, png_address(image)) for title, image in diagnostics.matrices],
        galleries=[(title, jpeg_address(image)) for title, image in diagnostics.galleries],
        detection=page_tables(diagnostics.detection),
        trials=trials,
        has_trials=bool(content.trials.rows),
        provenance=page_tables(content.provenance),
        version=__version__,
    )


def page_tables(tables: Iterable[Table]) -> list[PageTable]:
    """Return tables with the names of the style sheet that fit their width."""
    styled = []
    for table in tables:
        width = estimate_width(table)
        styles = []
        if width > PHONE:
            styles.append("listed")
        if width > DESK:
            styles.append("dense")
        if len(table.rows) < MAX_SHORT_ROWS:
            styles.append("short")
        styled.append(PageTable(table, " ".join(styles)))
    return styled


def estimate_width(table: Table) -> float:
    """Return how many pixels wide a table will be; headers break between words."""
    width = 0.0
    for header, *cells in zip(table.header, *table.rows, strict=True):
        words = header.split() or [""]
        letters = max(map(len, [*words, *cells]))
        width += LETTER * letters + CELL_PADDING
    return width


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
        tables=page_tables(figure.tables),
        problems=figure.problems,
    )


def page_gallery(gallery: MisjudgedGallery) -> PageGallery:
    """Return a gallery as the page needs it."""
    return PageGallery(
        gallery,
        clean=[_page_image(image) for image in gallery.clean],
        noisy=[_page_image(image) for image in gallery.noisy],
    )


def _page_image(image: MisjudgedImage) -> PageImage:
    if image.is_enlarged:
        address = _data_url("png", _encode(image.image, "PNG", optimize=True))
    else:
        address = jpeg_address(image.image)
    description = (
        f"Image given as {image.given}, true class {image.true}, loss {image.loss:.2f}"
    )
    return PageImage(address, image.image.size, description, image)


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
