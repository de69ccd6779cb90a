"""``cnlw list``: what there is, one line each."""

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import click

from cnlw_tools.cli.options import ROOT, find_root


@click.command("list")
@click.argument(
    "kind",
    type=click.Choice(["datasets", "noise", "recipes", "methods", "nets", "presets", "studies"]),
)
@ROOT
def list_(kind: str, root: Path | None) -> None:
    """Say what there is, one line each."""
    listing = {
        "datasets": _datasets,
        "noise": _noise,
        "recipes": _recipes,
        "methods": _methods,
        "nets": _nets,
        "presets": _presets,
        "studies": _studies,
    }
    for name, line in listing[kind](find_root(root)):
        click.echo(f"{name:22} {line}".rstrip())


def _datasets(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.dataset import dataset, tables
    from cnlw_tools.sources import SOURCES

    found = []
    for name in sorted({*dataset.list_datasets(root), *SOURCES}):
        listed = root / "manifests" / name / "classes.csv"
        classes = len(tables.read_classes(listed)) if listed.is_file() else "own"
        source = SOURCES.get(dataset.read_source_name(name, root))
        images = (
            "no source yet"
            if source is None
            else source.layout or "nothing: images come with the package"
        )
        found.append((name, f"{classes:>4} classes   --data-dir: {images}"))
    return found


def _noise(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.noise import NOISE

    said = []
    for name, model in NOISE.items():
        said.append(
            (
                name,
                f"{_first_line(model.draw).replace('``', '')} {model.paper}{_shown(model.options)}",
            )
        )
    return said


def _recipes(root: Path) -> list[tuple[str, str]]:
    return _headings(root / "pipelines")


def _presets(root: Path) -> list[tuple[str, str]]:
    return _headings(root / "pipelines" / "train")


def _studies(root: Path) -> list[tuple[str, str]]:
    return _headings(root / "pipelines" / "studies")


def _headings(folder: Path) -> list[tuple[str, str]]:
    paths = sorted(folder.glob("*.toml"))
    return [(p.stem, p.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")) for p in paths]


def _methods(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.cli.definitions import describe_method
    from cnlw_tools.methods import METHODS

    lines = []
    for name in METHODS:
        method = describe_method(METHODS.target(name))
        needs = f"   needs: {', '.join(method.requires)}" if method.requires else ""
        text = f"{method.relative_cost:4.1f} x   {method.summary} {method.paper}{needs}"
        lines.append((name, text + _shown(method.options)))
    return lines


def _nets(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.cli.definitions import first_line
    from cnlw_tools.trainer.nets import NETS

    lines = []
    for name in NETS:
        text = first_line(NETS.target(name)).removeprefix("Return ")
        lines.append((name, text[0].upper() + text[1:]))
    return lines


def _shown(options: Mapping[str, Any]) -> str:
    """Return options and their defaults as one would type them; dots: there is no default."""
    words = " ".join(f"-o {name}={_format_default(value)}" for name, value in options.items())
    return f" [{words}]" if words else ""


def _format_default(value: Any) -> str:
    """Return a default as one would type it; a long decimal as a simple fraction if it is one."""
    if value is None:
        return "..."
    text = str(value).lower()
    if isinstance(value, float) and len(text) > 8:
        fraction = Fraction(value).limit_denominator(1000)
        if float(fraction) == value:
            return str(fraction)
    return text


def _first_line(thing: object) -> str:
    named = thing.func if isinstance(thing, partial) else thing
    return (named.__doc__ or "").splitlines()[0]
