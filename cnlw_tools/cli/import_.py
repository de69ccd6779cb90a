"""``cnlw import``: a copy of some images -> the tables of a dataset."""

import shlex
from pathlib import Path

import click

from cnlw_tools.cli.import_votes import import_votes


@click.command("import")
@click.argument("source")
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--dataset", help="With `votes`: the dataset whose candidates they are on.")
@click.option("--as", "name", help="Name of the dataset.  [default: that of the source]")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Folder to write manifests/ in.  [default: .]",
)
def import_(
    source: str, paths: tuple[Path, ...], dataset: str | None, name: str | None, root: Path
) -> None:
    """Write the class list and the base manifest of what SOURCE finds in PATH, one folder or file; no image is copied.

    SOURCE is a name from `cnlw list datasets`: `folder` for class folders or a csv, `hf` for a Hugging Face dataset.
    `cnlw_release` writes the candidates, votes and published splits of the release of 2020, a folder or its zip.
    PATH is what --data-dir is to `cnlw build`. For red noise, put web.parquet and votes beside the tables.

    `cnlw import votes FILE... --dataset D` joins votes to those in annotations/D/: csv, Parquet, the JSON export of
    Label Studio (tasks of `cnlw export tasks`) or of the release of 2020.
    """
    if source == "votes":
        for file in paths:
            import_votes(file, dataset, root)
        return
    if dataset is not None:
        raise ValueError(f"--dataset goes with votes: name what {source} writes with --as")
    path, *more = paths
    if more:
        raise ValueError(
            f"{source}: {more[0]} and {path}: give one folder or file that holds all of it"
        )
    import pyarrow.compute as pc

    from cnlw_tools.ingest.import_dataset import import_release, import_source

    if source == "cnlw_release":
        for made in import_release(path, root):
            said = [f"{len(made.web):,} candidates", f"{len(made.votes):,} votes"]
            said += (
                [f"{len(made.published_splits):,} rows of published splits"]
                if made.published_splits is not None
                else []
            )
            click.echo(f"{made.name}: {', '.join(said)} in {root}")
        return
    found = import_source(source, path, name or source, root)
    counts = pc.value_counts(found.base["split"]).to_pylist() if found.base else []
    rows = ", ".join(f"{count['values']} {count['counts']:,}" for count in counts)
    click.echo(f"{root / 'manifests' / found.name}: {len(found.classes)} classes; {rows}")
    places = shlex.join(["--root", str(root), "--data-dir", str(path)])
    click.echo(f"cnlw build --dataset {found.name} {places} --noise blue --level 40")
