"""``cnlw push``: publish a build."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import ENGINE, WORKERS, PathOrAddress, check_ending
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.builds.hub import PushSummary
    from cnlw_tools.executor.progress import ProgressBars


@click.command()
@click.argument("build", type=PathOrAddress(path_type=Path))
@click.argument("repository", required=False, metavar="[OWNER/NAME]")
@click.option("--private", is_flag=True, help="Create the repository as a private one.")
@click.option(
    "--gated",
    is_flag=True,
    help="Ask people for their name and e-mail address before they can download the files.",
)
@click.option(
    "--tag",
    default="",
    metavar="NAME",
    help="Tag that marks this version of the dataset, such as v1.  [default: none]",
)
@click.option(
    "--archive",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    metavar="FILE.zip",
    help="Also write the build to this file or address, for example for Zenodo.  [default: none]",
)
@click.option(
    "--croissant",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    metavar="FILE.json",
    help="Also write a Croissant description of the pushed files to this file or address.  "
    "[default: none]",
)
@ENGINE
@WORKERS
def push(
    build: Path | str,
    repository: str | None,
    private: bool,
    gated: bool,
    tag: str,
    archive: Path | str | None,
    croissant: Path | str | None,
    engine: str,
    workers: int | None,
) -> None:
    """Check a build, and upload it to a dataset repository on the Hugging Face Hub.

    BUILD is the folder of a build, or its address, such as s3://bucket/build. The repository
    OWNER/NAME is created if it does not exist. To continue an interrupted upload, run the same
    command again. Log in first with `hf auth login`, or set HF_TOKEN. If a check finds an error,
    nothing is uploaded or written. Without OWNER/NAME, the command uploads nothing: it only checks
    the build and writes the archive. In this case, --archive is required, and --private, --gated,
    --tag and --croissant cannot be used.
    """
    from cnlw_tools.builds.hub import push_build
    from cnlw_tools.card.croissant import write_located_croissant
    from cnlw_tools.card.metadata import read_card
    from cnlw_tools.card.remote import local_build
    from cnlw_tools.checks.require import require_sound
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.outputs import output_file

    _check_names(repository, tag, archive, croissant)
    _check_choices(
        repository, archive, private=private, gated=gated, tag=bool(tag), croissant=bool(croissant)
    )
    with open_executor(engine, workers) as executor, ProgressBars() as bars:
        folder = local_build(build, progress=bars)
        results = require_sound(folder, executor, bars)
        click.echo(f"{build}: {count_things(len(results), 'check')} found no error")
        if archive is not None:
            _write_archive(folder, archive, bars)
        if repository is None:
            return
        summary = push_build(
            folder, repository, private=private, gated=gated, tag=tag, progress=bars
        )
    config = next(reversed(read_card(folder).configs))
    _print_summary(summary, repository, config, tag)
    if croissant is not None:
        with output_file(croissant) as path:
            write_located_croissant(folder, path, repository, tag)
        click.echo(f"{croissant}: the description of these files, for the form of a conference")


def _write_archive(folder: Path, archive: Path | str, bars: "ProgressBars") -> None:
    """Write a build as one file, and print how large it is."""
    from cnlw_tools.builds.archive import write_archive
    from cnlw_tools.files.outputs import output_file

    with output_file(archive) as path:
        size = write_archive(folder, path, bars)
    click.echo(f"{archive}: {size / 1e6:.1f} MB")


def _check_names(
    repository: str | None, tag: str, archive: Path | str | None, croissant: Path | str | None
) -> None:
    """Raise if a name is wrong, before the checks of the build, which can take hours.

    Raises:
        ValueError: with the name
        OSError: a file cannot be written
    """
    from cnlw_tools.builds.hub import check_names
    from cnlw_tools.files.outputs import check_output

    if croissant is not None:
        check_ending(croissant, ".json", "descriptions of a build")
        check_output(croissant)
    if archive is not None:
        check_ending(archive, ".zip", "archives")
        check_output(archive)
    if repository is not None:
        check_names(repository, tag)


def _check_choices(repository: str | None, archive: Path | str | None, **flags: bool) -> None:
    """Raise if nothing is asked for, or an option needs a repository.

    Raises:
        ValueError: with the option
    """
    if repository is not None:
        return
    for name, is_given in flags.items():
        if is_given:
            raise ValueError(f"--{name} needs a repository, but none is named: give OWNER/NAME")
    if archive is None:
        raise ValueError("there is nothing to do: give OWNER/NAME, --archive FILE.zip, or both")


def _print_summary(summary: "PushSummary", repository: str, config: str, tag: str) -> None:
    """Print what the repository has now, and how to load it."""
    for note in summary.notes:
        click.echo(f"note: {note}", err=True)
    sent = f"{summary.n_sent:,} of {count_things(summary.n_files, 'file')} sent"
    deleted = f", {summary.n_deleted:,} old ones deleted" if summary.n_deleted else ""
    click.echo(f"{summary.url}: {sent} ({summary.sent_bytes / 1e6:.1f} MB){deleted}")
    revision = f', revision="{tag}"' if tag else ""
    click.echo(f'load_dataset("{repository}", "{config}"{revision})')
