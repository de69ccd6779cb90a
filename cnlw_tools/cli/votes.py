"""``cnlw votes``: what people said about the candidates of a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    DATA_DIR,
    HOST,
    PORT,
    ROOT,
    LocalPath,
    PathOrAddress,
    check_ending,
    find_root,
    read_inputs,
    read_recipe_flags,
)
from cnlw_tools.files.mirror import name_addresses
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.browser.asked import AskedCandidates

DATASET = click.option(
    "--dataset",
    required=True,
    metavar="NAME",
    help="Name of a dataset with web candidates (manifests/NAME/web.parquet).",
)
N_VOTES = click.option(
    "--votes",
    "n_votes",
    type=click.IntRange(1),
    metavar="N",
    default=3,
    show_default=True,
    help="Number of votes (yes or no) that each candidate should have.",
)
VOTED_STORE = click.option(
    "--store",
    type=PathOrAddress(path_type=Path),
    help="Store of web images, from `cnlw fetch` or `cnlw store pack`.  [default: stores/NAME, if "
    "it exists]",
)


@click.group()
def votes() -> None:
    """Collect, import, export and report the votes of people on web images."""


@votes.command("report", short_help="Print agreement, annotators and verdicts.")
@DATASET
@click.option(
    "--level",
    type=click.IntRange(1, HIGHEST_LEVEL),
    metavar="PERCENT",
    help="Also print what each class still needs for red noise of this level.  [default: none]",
)
@N_VOTES
@VOTED_STORE
@DATA_DIR
@ROOT
def report_votes(
    dataset: str,
    level: int | None,
    n_votes: int,
    store: Path | str | None,
    data_dir: Path | None,
    root: Path | None,
) -> None:
    """Print how often people agree, who makes many errors, and how much red noise is possible.

    If every vote names its annotator, the command estimates the error rate of each annotator,
    and names those whose rate is unusually high.

    If the votes have timestamps, the command sorts them by time and divides them into five equal
    parts. For each part, it prints the share of votes that agree with other votes on the same
    candidate, and the median number of seconds for one vote.

    For each class, the command prints the number of candidates with each verdict, the number of
    images that red noise may use, and the highest level of red noise that is possible with these
    images. If there is a store, only images in the store count. If the dataset given by --dataset
    NAME has a recipe NAME_red, the verdicts follow its rules; otherwise, the majority of the votes
    decides.

    With --level L, the command also prints, for each class, how many wrong images level L needs and
    how many are known so far. It estimates how many more votes are needed to find the missing ones.

    At the end, the command says what to do next. It suggests more votes only if some candidate has
    fewer votes than --votes asks for.
    """
    from cnlw_tools.cli.next_step import (
        choose_next,
        count_voting,
        find_project,
        print_next,
        read_status,
    )
    from cnlw_tools.cli.votes_report import describe_votes

    project = find_project(dataset, root, data_dir, store)
    status = read_status(project, data_dir)
    voting = count_voting(project, status, n_votes)
    for line in describe_votes(status, level, voting.asked.is_asked):
        click.echo(line)
    print_next(*choose_next(project, status, voting.n_short, n_votes, level or 0))


@votes.command("annotate", short_help="Open a page on which people vote.")
@DATASET
@click.option(
    "--root",
    type=LocalPath(file_okay=False, path_type=Path),
    default=".",
    help="Folder with manifests/ and annotations/ of the dataset.  [default: .]",
)
@VOTED_STORE
@DATA_DIR
@click.option(
    "--votes",
    "n_votes",
    type=click.IntRange(1, 100),
    metavar="N",
    default=3,
    show_default=True,
    help="Number of votes (yes or no) that each candidate should have.",
)
@click.option(
    "--annotator",
    metavar="PERSON",
    help="Name with which the page starts.  [default: the page asks for a name]",
)
@HOST
@PORT
def annotate_votes(
    dataset: str,
    root: Path,
    store: Path | str | None,
    data_dir: Path | str | None,
    n_votes: int,
    annotator: str | None,
    host: str,
    port: int | None,
) -> None:
    """Serve a web page where people vote on whether each candidate shows its class.

    The page shows one candidate at a time, or all candidates of a class together. Each vote is
    saved at once in the folder annotations/NAME/ below --root, where NAME is the dataset. With
    --data-dir, the page also shows photographs of the class from your training images.

    Several people can vote at the same time. In this case, leave out --annotator, so that each of
    them enters a name on the page. One person can have the page open in several windows. Ctrl-C
    stops the server.
    """
    from cnlw_tools.cli.serve_votes import serve_votes

    serve_votes(dataset, root, store, data_dir, n_votes, annotator, host, port)


@votes.command("review", short_help="Look through candidates and their votes.")
@DATASET
@ROOT
@VOTED_STORE
@DATA_DIR
@click.option(
    "--out",
    type=LocalPath(file_okay=False, path_type=Path),
    help="Folder to write the page to.  [default: none; the page is served]",
)
def review_votes(
    dataset: str,
    root: Path | None,
    store: Path | str | None,
    data_dir: Path | None,
    out: Path | None,
) -> None:
    """Serve a page on which you can look through the candidates, their votes and their verdicts.

    The page has filters for classes, verdicts, tied votes, annotators and more. It marks annotators
    whose error rate, as estimated by `cnlw votes report`, is unusually high. It identifies each
    annotator by a number, not by a name. If the dataset given by --dataset NAME has a recipe
    NAME_red, the verdicts follow its rules; otherwise, the majority of the votes decides.

    With --out, the command writes the page to a folder, from which it can be opened without a
    server. The folder contains web images, which belong to other people: check that you may share
    them before you give the folder to anyone.
    """
    from cnlw_tools.browser.review import make_review
    from cnlw_tools.cli.pages import check_page_folder, serve_or_write
    from cnlw_tools.dataset.dataset import read_dataset
    from cnlw_tools.ingest.resolve import load_dataset
    from cnlw_tools.store.store import is_store, usual_store

    check_page_folder(out)
    tables = find_root(root)
    recipe = read_recipe_flags(None, tables, {"dataset": dataset, "noise": "red"})
    if store is None and is_store(usual_store(dataset)):
        store = usual_store(dataset)
    inputs = read_inputs(tables, data_dir, store=store)
    if data_dir is None:
        data = read_dataset(dataset, tables)
    else:
        data = load_dataset(recipe, replace(inputs, store=None))
    items, pictures = make_review(data, recipe, inputs)
    serve_or_write(items, pictures, out, f"votes of {dataset}")


@votes.command("export", short_help="Write tasks for Label Studio.")
@DATASET
@N_VOTES
@VOTED_STORE
@DATA_DIR
@click.option(
    "--url",
    help="URL of each image, in which {image_id} stands for its id.  [default: the URL in the "
    "manifest]",
)
@click.option(
    "--out",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="JSON file to write, or its address; an XML file is written beside it.  "
    "[default: NAME.json]",
)
@ROOT
def export_votes(
    dataset: str,
    n_votes: int,
    store: Path | str | None,
    data_dir: Path | str | None,
    url: str | None,
    out: Path | str | None,
    root: Path | None,
) -> None:
    """Write a Label Studio task for each candidate that has too few votes (see --votes).

    If there is an image store, the command leaves out candidates whose images are not in the store,
    and those whose images are unusable, such as placeholders. With --data-dir, it also leaves out
    copies of your validation images. If candidates of a class look alike, only one of them gets a
    task. If no candidate has too few votes, no file is written.

    An XML file with the labelling interface is also written. Paste its contents into the settings
    of your Label Studio project. When the annotators have finished, export the project as JSON and
    run `cnlw votes import`.
    """
    from cnlw_tools.browser.asked import find_asked
    from cnlw_tools.cli.next_step import find_project, read_status
    from cnlw_tools.files.outputs import check_output
    from cnlw_tools.ingest import label_studio

    place = out or Path(f"{dataset}.json")
    check_ending(place, ".json", "tasks")
    check_output(place)
    project = find_project(dataset, root, data_dir, store)
    data = read_status(project, data_dir).dataset
    if not len(data.web):
        raise LookupError(
            f"{dataset} has no candidates, so there is nothing to vote on: add some with "
            f"`cnlw import candidates FILE --as {dataset}`"
        )
    candidates = find_asked(data.web, data.votes, project.store)
    tasks = label_studio.make_tasks(
        data.web, data.votes, data.classes, n_votes, url, candidates.is_asked
    )
    n_candidates = count_things(len(data.web), "candidate")
    too_few = f"fewer than {count_things(n_votes, 'vote')}"
    if candidates.n_unavailable or candidates.n_copies:
        click.echo(_describe_left_out(candidates))
    if not tasks:
        click.echo(f"{dataset}: none of {n_candidates} has {too_few}: nothing to write")
        return
    interface = _write_tasks(tasks, place)
    counts = f"{len(tasks):,} of {n_candidates} with {too_few}"
    click.echo(f"{place}: {counts}; labelling interface: {interface}")


def _describe_left_out(candidates: "AskedCandidates") -> str:
    """Return how many candidates get no task, and why."""
    n_unavailable = count_things(candidates.n_unavailable, "candidate")
    n_copies = count_things(candidates.n_copies, "candidate")
    return (
        f"left out: {n_unavailable} without an image that builds use, {n_copies} that look like "
        "another one"
    )


def _write_tasks(tasks: Sequence[Mapping[str, Any]], place: Path | str) -> Path | str:
    """Write tasks, and the labelling interface beside them; return where the interface is."""
    import json

    from cnlw_tools.files import atomic_write
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.files.storage import with_ending
    from cnlw_tools.ingest.label_studio import INTERFACE

    interface = with_ending(place, ".xml")
    texts = {interface: INTERFACE, place: json.dumps(tasks, indent=0, ensure_ascii=False)}
    for target, text in texts.items():
        with output_file(target) as path, atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")
    return interface


@votes.command("import", short_help="Add votes from files to a dataset.")
@click.argument(
    "paths",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=LocalPath(path_type=Path),
)
@DATASET
@click.option(
    "--root",
    type=PathOrAddress(file_okay=False, path_type=Path),
    default=".",
    help="Folder or address at which to write annotations/.  [default: .]",
)
def import_votes(paths: tuple[Path, ...], dataset: str, root: Path | str) -> None:
    """Add the votes in one or more files to annotations/NAME/.

    A FILE is a CSV file, a Parquet file, a JSON export of Label Studio, or the JSON file of votes
    in the release of Jiang et al. (2020). A CSV or Parquet file identifies each candidate by the
    columns `image_id` and `label`, or by the columns `class` and `url`. The column `correct` holds
    the vote: yes, no or unsure. The optional columns `annotator` and `at` say who voted and when.

    The command stores numbers in place of the names of annotators. The file annotators/NAME.csv,
    next to the folder annotations/, lists the name for each number.
    """
    from cnlw_tools.cli.next_step import find_project, print_next
    from cnlw_tools.files.roots import open_root
    from cnlw_tools.ingest.import_votes import add_votes

    key = None
    for path in paths:
        with open_root(root) as folder:
            result = add_votes(path, dataset, folder)
        key = result.key
        replaced = f", {result.n_replaced:,} replaced by later ones" if result.n_replaced else ""
        click.echo(
            f"{name_addresses(str(result.path))}: {count_things(result.n_added, 'vote')} "
            f"added{replaced}; "
            f"{result.n_votes:,} in all"
        )
        if result.n_unanswered:
            is_export = path.suffix.lower() == ".json"
            n_tasks = count_things(result.n_unanswered, "task" if is_export else "row")
            click.echo(f"{path}: {n_tasks} without an answer")
        if result.other_columns:
            click.echo(f"{path}: columns left out: {', '.join(result.other_columns)}")
    if key:
        click.echo(
            f"{name_addresses(str(key))}: the names of the annotators; do not publish this file"
        )
    print_next(find_project(dataset, root).command("votes", "report"))
