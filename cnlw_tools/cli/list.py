"""``cnlw list``: the names that other commands take, one line each."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import click

from cnlw_tools.cli.options import ROOT, find_root
from cnlw_tools.files.roots import find_toml_files

NAME_WIDTH = 24  # columns of the names
LEAST_WIDTH = 60  # columns, of which the texts need some
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
Lines = list[tuple[str, str]]  # name and description


def list_datasets(root: Path) -> Lines:
    """Return the datasets, with the number of classes and what --data-dir has to hold."""
    from cnlw_tools.dataset import dataset, tables
    from cnlw_tools.recipe.inputs import Inputs
    from cnlw_tools.sources import SOURCES, read_source_info

    lines = []
    for name in sorted({*dataset.list_datasets(root), *SOURCES}):
        class_list = dataset.dataset_root(name, root) / "manifests" / name / "classes.csv"
        source = SOURCES.get(read_source_info(name, Inputs(root)).source)
        n_classes = str(len(tables.read_classes(class_list))) if class_list.is_file() else "your"
        if source is not None and not source.layout:  # the images come with the package
            n_classes = str(len(source(None).classes()))
        images = "no source yet"
        if source is not None:
            images = source.layout or "nothing: images come with the package"
        lines.append((name, f"{n_classes:>4} classes   --data-dir: {images}"))
    return lines


def list_noise(root: Path) -> Lines:
    """Return the noise models, with their papers and options."""
    from cnlw_tools.noise import NOISE

    lines = []
    for name, model in NOISE.items():
        summary = _first_line(model.draw).replace("``", "")
        lines.append((name, f"{summary} {model.paper}{_format_options(model.options)}"))
    return lines


def list_methods(root: Path) -> Lines:
    """Return the methods, with the cost of a step, their papers, needs and options."""
    from cnlw_tools.cli.definitions import describe_method
    from cnlw_tools.methods import METHODS

    lines = []
    for name in METHODS:
        method = describe_method(METHODS.target(name))
        needs = f"   needs: {', '.join(method.requires)}" if method.requires else ""
        text = f"{method.relative_cost:4.1f} x   {method.summary} {method.paper}{needs}"
        lines.append((name, text + _format_options(method.options)))
    return lines


def list_nets(root: Path) -> Lines:
    """Return the networks."""
    from cnlw_tools.cli.definitions import first_line
    from cnlw_tools.trainer.nets import NETS

    lines = []
    for name in NETS:
        text = first_line(NETS.target(name)).removeprefix("Return ")
        lines.append((name, text[0].upper() + text[1:]))
    return lines


def list_exporters(root: Path) -> Lines:
    """Return the formats of `cnlw export`, with their options."""
    from cnlw_tools.builds.exporters import EXPORTERS, exporter_options

    lines = []
    for name, exporter in EXPORTERS.items():
        options = exporter_options(exporter)
        lines.append((name, _first_line(exporter) + _format_options(options)))
    return lines


def list_files(folder: str, root: Path) -> Lines:
    """Return the TOML files of a folder below pipelines/, with the comment on top of each."""
    lines = []
    for name, path in find_toml_files(root, Path("pipelines") / folder).items():
        heading = path.read_text(encoding="utf-8").partition("\n")[0]
        lines.append((name, heading.lstrip("# ")))
    return lines


KINDS: Mapping[str, Callable[[Path], Lines]] = {
    "datasets": list_datasets,
    "noise": list_noise,
    "recipes": partial(list_files, ""),
    "methods": list_methods,
    "nets": list_nets,
    "presets": partial(list_files, "train"),
    "studies": partial(list_files, "studies"),
    "exporters": list_exporters,
}


@click.command("list")
@click.argument("kind", type=click.Choice([*KINDS]), metavar="KIND")
@ROOT
def list_(kind: str, root: Path | None) -> None:
    """List all items of one kind, such as datasets, noise models or methods.

    KIND is one of: datasets, noise, recipes, methods, nets (networks), presets, studies, exporters
    (the formats of `cnlw export`).
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for name, description in KINDS[kind](find_root(root)):
        click.echo(_format_entry(name, description, width))


def _format_entry(name: str, description: str, width: int) -> str:
    """Return the entry of a name, in lines of a width; 0 stands for one line.

    An option such as ``-o alpha=1.0`` stays together.
    """
    line = f"{name:{NAME_WIDTH}} {description}".rstrip()
    if not width:
        return line
    lines = textwrap.wrap(
        line.replace("-o ", f"-o{NO_BREAK_SPACE}"),
        max(width, LEAST_WIDTH),
        subsequent_indent=" " * (NAME_WIDTH + 1),
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(NO_BREAK_SPACE, " ")


def _format_options(options: Mapping[str, Any]) -> str:
    """Return options and their defaults as one would type them; dots: there is no default."""
    words = " ".join(f"-o {name}={format_default(value)}" for name, value in options.items())
    return f" [{words}]" if words else ""


def format_default(value: Any) -> str:
    """Return a default as one would type it; a long decimal as a simple fraction if it is one."""
    if value is None or value in ("", []):
        return "..."
    text = str(value).lower()
    if isinstance(value, float) and len(text) > 8:
        fraction = Fraction(value).limit_denominator(1000)
        if float(fraction) == value:
            return str(fraction)
    return text


def _first_line(function: object) -> str:
    if isinstance(function, partial):
        function = function.func
    return (function.__doc__ or "").splitlines()[0]
