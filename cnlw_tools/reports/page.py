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
from cnlw_tools.reports.conclusion import Conclusion
from cnlw_tools.reports.context import Figure
from cnlw_tools.reports.diagnostics import Diagnostics
from cnlw_tools.reports.misjudged import MisjudgedGallery, MisjudgedImage, describe_unshown
from cnlw_tools.reports.tables import Table
from cnlw_tools.study.figures import FIGURES

TitledAddress = tuple[str, str]  # title, and a data URL


class Screen(NamedTuple):
    """What a table has to fit into, in pixels; of letters and cells estimated."""

    letter: float  # width
    padding: float  # of a cell, left and right
    width: float  # beside the margins


PHONE = Screen(letter=7.2, padding=11, width=358)
DESK = Screen(letter=7.8, padding=19, width=1248)
MAX_SHORT_ROWS = 13  # of a table that fits on a sheet with its title
MAX_CONCLUSIONS = 4  # that are not folded
MAX_LEAD_PANELS = 3  # of the figure at the top; they fit beside each other on a desk
MAX_MISJUDGED_BYTES = 3_000_000  # of images that methods misjudged, as they stand in the page
HALF_DESK = 600  # pixels: tables that fit beside the figure at the top


class PagePanel(NamedTuple):
    """A plot as the page needs it."""

    title: str
    address: str  # a data URL
    caption: str  # sentences: what it shows, in numbers
    is_wide: bool


class PageTable(NamedTuple):
    """A table with the names that the style sheet knows it by."""

    table: Table
    style: str
    is_listed: bool  # on a phone, a list of its cells


class PageFigure(NamedTuple):
    """A figure whose pictures are data URLs."""

    title: str
    about: str
    panels: list[PagePanel]
    images: list[TitledAddress]
    tables: list[PageTable]
    problems: list[str]
    number: int  # on the page


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
    has_runs: bool
    conclusions: Sequence[Conclusion]
    measure: str  # what the numbers of the conclusions are
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
    figures: list[PageFigure] = []
    for name, figure in content.figures.items():
        if not figure.is_empty:
            figures.append(page_figure(name, figure, len(figures) + 1))
    misjudged, left_out = page_galleries(content.misjudged)
    lead = next((figure for figure in figures if figure.panels), None)
    (trials,) = page_tables([content.trials])
    return environment.get_template("page.html").render(
        title=content.title,
        date=content.date,
        about=content.about,
        conclusions=content.conclusions,
        n_conclusions=MAX_CONCLUSIONS,
        n_lead_panels=MAX_LEAD_PANELS,
        has_runs=content.has_runs,
        measure=content.measure,
        results=page_tables(content.results),
        other_results=page_tables(content.other_results),
        other_measures=list_measures(content.other_results),
        notes=content.notes,
        comparisons=page_tables(content.comparisons),
        lead=lead,
        has_columns=lead is not None and fits_beside(lead, content.results),
        figures=figures,
        misjudged_notes=[*content.misjudged_notes, *left_out],
        misjudged=misjudged,
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
        is_listed = estimate_width(table, PHONE) > PHONE.width
        styles = []
        if is_listed:
            styles.append("listed")
        if estimate_width(table, DESK) > DESK.width:
            styles.append("dense")
        if len(table.rows) < MAX_SHORT_ROWS:
            styles.append("short")
        styled.append(PageTable(table, " ".join(styles), is_listed))
    return styled


def fits_beside(figure: PageFigure, tables: Sequence[Table]) -> bool:
    """Return whether tables fit on a desk beside a figure."""
    if len(figure.panels) > 1 or figure.panels[0].is_wide:
        return False
    return all(estimate_width(table, DESK) < HALF_DESK for table in tables)


def list_measures(tables: Iterable[Table]) -> str:
    """Return what tables of results show, each once: ``best epoch, mean of the last 4 epochs``."""
    measures = [table.title.partition(":")[0].lower() for table in tables]
    return ", ".join(dict.fromkeys(measures))


def estimate_width(table: Table, screen: Screen) -> float:
    """Return how many pixels wide a table is on a screen; headers break between words."""
    width = 0.0
    for header, *cells in zip(table.header, *table.rows, strict=True):
        words = header.split() or [""]
        letters = max(map(len, [*words, *cells]))
        width += screen.letter * letters + screen.padding
    return width


def page_figure(name: str, figure: Figure, number: int) -> PageFigure:
    """Return a figure as the page needs it; it is the n-th on the page."""
    panels = []
    for panel in figure.panels:
        address = svg_address(panel.svg)
        panels.append(PagePanel(panel.title, address, panel.caption, panel.is_wide))
    return PageFigure(
        title=figure.title,
        about=f"{FIGURES[name].about}.",
        panels=panels,
        images=[(title, png_address(image)) for title, image in figure.images],
        tables=page_tables(figure.tables),
        problems=figure.problems,
        number=number,
    )


def page_galleries(
    galleries: Sequence[MisjudgedGallery],
) -> tuple[list[PageGallery], list[str]]:
    """Return as many galleries as the page has room for, and a note if some are left out."""
    on_page: list[PageGallery] = []
    room = MAX_MISJUDGED_BYTES
    for gallery in galleries:
        with_addresses = page_gallery(gallery)
        images = [*with_addresses.clean, *with_addresses.noisy]
        room -= sum(len(image.address) for image in images)
        if room < 0:
            break
        on_page.append(with_addresses)
    n_left_out = len(galleries) - len(on_page)
    if not n_left_out:
        return on_page, []
    reason = f"the page holds at most {MAX_MISJUDGED_BYTES / 1e6:g} MB of these images"
    return on_page, [f"{describe_unshown(n_left_out)}: {reason}."]


def page_gallery(gallery: MisjudgedGallery) -> PageGallery:
    """Return a gallery as the page needs it."""
    return PageGallery(
        gallery,
        clean=[_page_image(image) for image in gallery.clean],
        noisy=[_page_image(image) for image in gallery.noisy],
    )


def _page_image(image: MisjudgedImage) -> PageImage:
    if image.is_enlarged:
        address = _data_url("png", _encode(image.image, "PNG"))
    else:
        address = jpeg_address(image.image)
    description = f"Image given as {image.given}, true class {image.true}, loss {image.loss:.2f}"
    return PageImage(address, image.image.size, description, image)


def svg_address(svg: str) -> str:
    """Return an SVG as a data URL; as images, several on a page do not share ids."""
    return _data_url("svg+xml", svg.encode())


def png_address(image: Image.Image) -> str:
    """Return a picture of few colours as a data URL."""
    return _data_url("png", _encode(image.quantize(256), "PNG"))


def jpeg_address(image: Image.Image) -> str:
    """Return photographs as a data URL."""
    return _data_url("jpeg", _encode(image, "JPEG", quality=88))


def _encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _data_url(subtype: str, data: bytes) -> str:
    return f"data:image/{subtype};base64,{base64.b64encode(data).decode()}"
