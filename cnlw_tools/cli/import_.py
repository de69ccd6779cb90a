"""``cnlw import``: from a copy of some images to the tables of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import ENGINE, NEW_TABLES_ROOT, WORKERS, LocalPath, PathOrAddress
from cnlw_tools.files.storage import below, is_address
from cnlw_tools.recipe.recipe import MAX_VALIDATION
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.dataset.dataset import Dataset
    from cnlw_tools.ingest.import_dataset import Import
    from cnlw_tools.recipe.inputs import SourceOptions

# What only an import that reads the images can do.
TABLE_SOURCES = ("candidates", "cnlw_release")  # of tables alone
READING_FLAGS = ("validation", "skip_broken", "list_broken")


@click.command("import")
@click.argument("source")
@click.argument("path", type=LocalPath(path_type=Path))
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="Name of the dataset.  [default: the name of the source]",
)
@NEW_TABLES_ROOT
@click.option(
    "--skip-broken",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Leave out undecodable images; list them in FILE, a CSV file or its address.  "
    "[default: none]",
)
@click.option(
    "--list-broken",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="List undecodable images in FILE, a CSV file or its address, then stop.  [default: none]",
)
@click.option(
    "--config",
    default="",
    metavar="NAME",
    help="Config or folder to read, if there are several.  [default: the only one]",
)
@click.option(
    "--image-column",
    default="",
    metavar="NAME",
    help="Column of the images.  [default: the only one]",
)
@click.option(
    "--label-column",
    default="",
    metavar="NAME",
    help="Column of the labels.  [default: label, or the only ClassLabel column]",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME[=SPLIT]",
    help="Split to read, and its use: train, validation or test; may be repeated.",
)
@click.option(
    "--validation",
    type=click.IntRange(1, MAX_VALIDATION),
    default=None,
    metavar="PERCENT",
    help="Move PERCENT of the training images of each class to a split validation.  "
    "[default: none]",
)
@ENGINE
@WORKERS
def import_(source: str, path: Path, name: str | None, root: Path | str, **flags: Any) -> None:
    """Write the class list and the base manifest of your images; no image is copied.

    SOURCE is `folder` for one folder per class or a CSV file, `hf` for a Hugging Face dataset, or
    another name from `cnlw list datasets`. PATH is the folder or file that you will later pass to
    `cnlw build` as --data-dir; for `hf`, it may be OWNER/NAME[@REVISION] on the Hugging Face Hub.
    The sources `cnlw_release` and `candidates` work differently; they are described below.

    Every image is read and decoded once. The manifest records the sha256 of each image, so `cnlw
    build` refuses an image that has changed. If images cannot be decoded, the command stops and
    prints the names of the first ten of them; with --skip-broken, it leaves such images out.

    --config, --split and the options for columns choose what is read from a Hugging Face dataset.
    The manifest records the choice, so a build reads the same images.

    --validation chooses the images of the validation split by their ids, so the split is the same
    on every machine. Duplicate images stay in train, so that validation has no image that is
    also in train.

    With the source `cnlw_release`, the command imports the candidates, votes and published splits
    that Jiang et al. released in 2020; PATH is the folder or ZIP file of this release.

    For red noise, the source `candidates` adds web images to the dataset that --as names. PATH is a
    CSV file with the columns class and url; no image is read. `cnlw new` imports images and
    candidates in one step.
    """
    from cnlw_tools.recipe.inputs import SourceOptions

    choices = ("config", "image_column", "label_column", "splits")
    options = SourceOptions(**{choice: flags.pop(choice) for choice in choices})
    if source not in TABLE_SOURCES:
        _import_source(source, path, name or source, root, options, **flags)
    elif options.as_block() or any(flags[name] for name in READING_FLAGS):
        raise ValueError(
            f"{source}: this source has no configs, splits or columns to choose, and it reads no "
            "images: omit the options about them"
        )
    elif source == "candidates":
        _import_candidates(path, name, root)
    else:
        _import_release(path, root)


def _import_candidates(path: Path, name: str | None, root: Path | str) -> None:
    from cnlw_tools.cli.new import print_candidates
    from cnlw_tools.cli.next_step import find_project, print_next
    from cnlw_tools.files.roots import open_root
    from cnlw_tools.ingest.candidates import add_candidates

    if name is None:
        raise ValueError(
            f"{path}: the name of the dataset of the candidates is missing: give it with --as NAME"
        )
    with open_root(root) as folder:
        imported = add_candidates(path, name, folder)
    print_candidates(imported)
    print_next(find_project(name, root).fetch_command())


def _import_release(path: Path, root: Path | str) -> None:
    from cnlw_tools.files.roots import open_root
    from cnlw_tools.ingest.import_dataset import import_release

    with open_root(root) as folder:
        imported = import_release(path, folder)
    for dataset in imported:
        parts = [
            count_things(len(dataset.web), "candidate"),
            count_things(len(dataset.votes), "vote"),
        ]
        if "dead" in dataset.web.column_names:
            n_dead = dataset.web["dead"].to_pylist().count(True)
            parts[0] += f" ({n_dead:,} without an image here)"
        if dataset.published_splits is not None:
            n_rows = count_things(len(dataset.published_splits), "row")
            parts.append(f"{n_rows} of published splits")
        click.echo(f"{dataset.name}: {', '.join(parts)} in {root}")


def _import_source(
    source: str,
    path: Path,
    name: str,
    root: Path | str,
    options: "SourceOptions",
    validation: int | None,
    skip_broken: Path | str | None,
    list_broken: Path | str | None,
    engine: str,
    workers: int | None,
) -> None:
    from cnlw_tools.cli.next_step import find_project, print_next
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.roots import open_root
    from cnlw_tools.ingest.import_dataset import import_source

    with (
        open_root(root) as folder,
        open_executor(engine, workers) as executor,
        ProgressBars() as bars,
    ):
        imported = import_source(
            source,
            path,
            name,
            folder,
            options=options,
            validation=validation or 0,
            skip_broken=skip_broken,
            list_broken=list_broken,
            executor=executor,
            progress=bars,
        )
    print_import(imported, root, skip_broken)
    project = find_project(name, root, path)
    print_next(f"{project.command('build')} --noise blue --level 40")


def print_import(imported: "Import", root: Path | str, skip_broken: Path | str | None) -> None:
    """Print what was imported, and what a user should know of it."""
    from cnlw_tools.sources.formats.listing import describe_left_out, enumerate_names

    dataset = imported.dataset
    folder = below(root, f"manifests/{dataset.name}")
    click.echo(
        f"{folder}: {count_things(len(dataset.classes), 'class')}; {_describe_splits(dataset)}"
    )
    if imported.broken:
        n_broken = count_things(len(imported.broken), "image")
        click.echo(f"left out, because they cannot be used: {n_broken}, listed in {skip_broken}")
    if imported.left_out:
        click.echo(f"left out: {describe_left_out(imported.left_out)}")
    click.echo(f"classes: {enumerate_names(dataset.classes)}")
    if not dataset.has_validation:
        click.echo(
            "note: there is no split validation, on which `cnlw train` measures: "
            "give --validation 20 to `cnlw build`"
        )
    for note in imported.notes:
        click.echo(f"note: {note}")
    _note_packaged(dataset.name, root)


def _note_packaged(name: str, root: Path | str) -> None:
    """Print a note if the package has a dataset of the same name, which commands could mean."""
    from cnlw_tools.files.roots import default_root

    package_root = default_root()
    is_packaged = (package_root / "manifests" / name / "classes.csv").is_file()
    is_own = is_address(root) or Path(root).resolve() != package_root.resolve()
    if is_packaged and is_own:
        click.echo(
            f"note: the package has a dataset {name!r}, too, and commands without --root {root} "
            "read that one: another name would avoid this"
        )


def _describe_splits(dataset: "Dataset") -> str:
    """Return the number of images of each split."""
    import pyarrow.compute as pc

    counts = pc.value_counts(dataset.base["split"]).to_pylist() if dataset.base else []
    return ", ".join(f"{count['values']} {count['counts']:,}" for count in counts)
