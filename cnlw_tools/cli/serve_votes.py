"""What `cnlw votes annotate` does: it serves the page, and says where votes go."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.next_step import find_project, print_next
from cnlw_tools.cli.options import read_inputs
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.browser.annotation import Annotation


def serve_votes(
    dataset: str,
    root: Path,
    store: Path | str | None,
    data_dir: Path | str | None,
    n_votes: int,
    annotator: str | None,
    host: str,
    port: int | None,
) -> None:
    """Serve the page for votes until Ctrl-C or SIGTERM.

    Raises:
        LookupError, ValueError, OSError: the dataset, its pictures or the address are not there
    """
    from cnlw_tools.browser.annotate import Ending, make_pages, read_name
    from cnlw_tools.browser.serve import open_server
    from cnlw_tools.store.store import usual_store

    name = None if annotator is None else read_name(annotator)
    images = read_inputs(None, data_dir).data_dir
    place = store if store is not None else usual_store(dataset)
    project = find_project(dataset, root, data_dir, store)
    command = project.command("votes", "report")
    ending = Ending(command, partial(describe_level, dataset, root, images, project.store))
    with ExitStack() as stack:
        annotation = _open(stack, dataset, root, place, images, n_votes)
        pages = make_pages(annotation, name, ending)
        with open_server(pages, host, port, f"votes of {root.resolve()}/{dataset}") as server:
            warn_of_others(host)
            click.echo(f"page: {server.address}")
            for address in server.other_addresses:
                click.echo(f"or:   {address}")
            click.echo(f"votes go to {annotation.table.path} at once")
            click.echo("Open the page in a browser. Ctrl-C stops the server.")
            click.echo("To see how much red noise the votes allow so far, run in another terminal:")
            click.echo(project.command("status"))
            server.run()
        n_given = count_things(annotation.table.n_written, "vote")
    click.echo(f"stopped: {n_given} given on this page")
    print_next(command)


def _open(
    stack: ExitStack,
    dataset: str,
    root: Path,
    store: Path | str,
    images: Path | None,
    n_votes: int,
) -> "Annotation":
    """Open what people vote on, with a bar while validation images are read."""
    from cnlw_tools.browser.annotation import open_annotation
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.progress import ProgressBars

    if images is not None:
        click.echo(
            f"reading the validation images in {images}: nobody is asked about a candidate that "
            "looks like one of them",
            err=True,
        )
    with open_executor() as executor, ProgressBars() as bars:
        opening = open_annotation(dataset, root, store, images, n_votes, executor, bars)
        return stack.enter_context(opening)


def describe_level(
    dataset: str, root: Path, data_dir: Path | None, store: Path | str | None
) -> str:
    """Return a sentence on the highest level of red noise that the votes allow so far.

    It is empty where no base manifest says how many photographs there are.
    """
    from cnlw_tools.ingest.crawl_status import read_crawl_status

    status = read_crawl_status(dataset, root, data_dir, store)
    if status.levels is None:
        return ""
    label = int(status.levels.argmin())
    name = status.dataset.classes[label]
    return (
        f"Red noise is possible up to {int(status.levels[label])} % so far, limited by the class "
        f"{name}."
    )


def warn_of_others(host: str) -> None:
    """Print a warning if other computers can reach the page."""
    from cnlw_tools.browser.serve import is_private

    if not is_private(host):
        click.echo(
            f"warning: --host {host} lets other computers in. Everybody who has the address can "
            "vote, and the votes travel unencrypted.",
            err=True,
        )
