"""``cnlw import``: from a copy of some images to the tables of a dataset."""

import shlex
from pathlib import Path

import click


@click.command("import", short_help="Write the tables of a dataset of yours.")
@click.argument("source")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="Name of the dataset.  [default: the name of the source]",
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Folder to write manifests/ in.  [default: .]",
)
def import_(source: str, path: Path, name: str | None, root: Path) -> None:
    """Write the class list and the base manifest of images; no image is copied.

    PATH is the folder or file that --data-dir names in `cnlw build`. SOURCE is a name from
    `cnlw list datasets`: `folder` for class folders or a csv, `hf` for a Hugging Face dataset.
    `cnlw_release` writes the candidates, votes and published splits of the release of 2020, a
    folder or its zip. For red noise, put web.parquet beside the tables, and add votes with
    `cnlw votes import`.
    """
    if source == "cnlw_release":
        _import_release(path, root)
    else:
        _import_source(source, path, name or source, root)


def _import_release(path: Path, root: Path) -> None:
    from cnlw_tools.ingest.import_dataset import import_release

    for dataset in import_release(path, root):
        parts = [f"{len(dataset.web):,} candidates", f"{len(dataset.votes):,} votes"]
        if dataset.published_splits is not None:
            parts.append(f"{len(dataset.published_splits):,} rows of published splits")
        click.echo(f"{dataset.name}: {', '.join(parts)} in {root}")


def _import_source(source: str, path: Path, name: str, root: Path) -> None:
    import pyarrow.compute as pc

    from cnlw_tools.ingest.import_dataset import import_source

    dataset = import_source(source, path, name, root)
    counts = pc.value_counts(dataset.base["split"]).to_pylist() if dataset.base else []
    rows = ", ".join(f"{count['values']} {count['counts']:,}" for count in counts)
    folder = root / "manifests" / dataset.name
    click.echo(f"{folder}: {len(dataset.classes)} classes; {rows}")
    folders = shlex.join(["--root", str(root), "--data-dir", str(path)])
    click.echo(f"cnlw build --dataset {dataset.name} {folders} --noise blue --level 40")
