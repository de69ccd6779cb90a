"""``cnlw list``: what there is, one line each."""

from pathlib import Path

import click

from cnlw_tools.cli.options import ROOT, folder


@click.command("list")
@click.argument("kind", type=click.Choice(["datasets", "noise", "exporters", "recipes", "methods", "nets", "presets"]))
@ROOT
def list_(kind: str, root: Path | None) -> None:
    """Say what there is, one line each."""
    listing = {
        "datasets": _datasets,
        "noise": _noise,
        "exporters": _exporters,
        "recipes": _recipes,
        "methods": _methods,
        "nets": _nets,
        "presets": _presets,
    }
    for name, line in listing[kind](folder(root)):
        click.echo(f"{name:22} {line}".rstrip())


def _datasets(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools import dataset, tables
    from cnlw_tools.sources import SOURCES

    found = []
    for name in dataset.names(root):
        classes = len(tables.read_classes(root / "manifests" / name / "classes.csv"))
        images = "images: yes" if name in SOURCES else "images: no source yet"
        found.append((name, f"{classes:4} classes   {images}"))
    return found


def _noise(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.noise import NOISE

    said = []
    for name, model in NOISE.items():
        options = "".join(f" -o {k}={str(v).lower()}" for k, v in model.options.items())
        said.append((name, _first_line(model.draw).replace("``", "") + (f" [{options.strip()}]" if options else "")))
    return said


def _exporters(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.export import EXPORTERS

    return [(name, _first_line(write)) for name, write in EXPORTERS.items()]


def _recipes(root: Path) -> list[tuple[str, str]]:
    return _headings(root / "pipelines")


def _presets(root: Path) -> list[tuple[str, str]]:
    return _headings(root / "pipelines" / "train")


def _headings(folder: Path) -> list[tuple[str, str]]:
    paths = sorted(folder.glob("*.toml"))
    return [(p.stem, p.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")) for p in paths]


def _methods(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.methods import METHODS

    said = []
    for name, method in METHODS.items():
        needs = f"   needs: {', '.join(method.needs)}" if method.needs else ""
        said.append((name, f"{method.cost:4.1f} x   {_first_line(method)} {method.paper}{needs}"))
    return said


def _nets(root: Path) -> list[tuple[str, str]]:
    from cnlw_tools.trainer.nets import NETS

    return [(name, _first_line(make)) for name, make in NETS.items()]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").splitlines()[0]
