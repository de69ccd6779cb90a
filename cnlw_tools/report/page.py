"""The page: page.html, filled in. Pictures lie in it, so that it is one file."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from cnlw_tools import __version__
from cnlw_tools.report.context import Drawn
from cnlw_tools.report.diagnostics import Known
from cnlw_tools.report.tables import Sheet
from cnlw_tools.study.spec import FIGURES


class Figure(NamedTuple):
    """A figure, its pictures with their addresses."""

    title: str
    about: str
    pictures: list[tuple[str, str]]
    images: list[tuple[str, str]]
    tables: list[Sheet]
    lacking: list[str]


def html(
    title: str,
    about: str,
    notes: Sequence[str],
    ours: Sequence[Sheet],
    theirs: Sequence[Sheet],
    drawn: Mapping[str, Drawn],
    known: Known,
    trials: Sheet,
    provenance: Sequence[Sheet],
) -> str:
    """Return the page."""
    around = Environment(
        loader=PackageLoader("cnlw_tools.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return around.get_template("page.html").render(
        title=title or "Runs",
        about=about,
        notes=notes,
        ours=ours,
        theirs=theirs,
        figures=[figure(name, one) for name, one in drawn.items() if one],
        matrices=[(title, png(image)) for title, image in known.matrices],
        galleries=[(title, jpeg(image)) for title, image in known.galleries],
        detection=known.detection,
        trials=trials,
        trained=bool(trials.rows),
        provenance=provenance,
        version=__version__,
    )


def figure(name: str, drawn: Drawn) -> Figure:
    """Return a figure as the page takes it."""
    pictures = [(picture.title, svg(picture.svg)) for picture in drawn.pictures]
    images = [(title, png(image)) for title, image in drawn.images]
    return Figure(drawn.title, f"{FIGURES[name]}.", pictures, images, drawn.tables, drawn.lacking)


def svg(text: str) -> str:
    """Return an SVG as the address of an image: ids of several then do not meet on a page."""
    return _address("svg+xml", text.encode())


def png(image: Image.Image) -> str:
    """Return flat colours as the address of an image."""
    return _address("png", _bytes(image.quantize(64), "PNG", optimize=True))


def jpeg(image: Image.Image) -> str:
    """Return photographs as the address of an image."""
    return _address("jpeg", _bytes(image, "JPEG", quality=88))


def _bytes(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
