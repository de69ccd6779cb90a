"""``cnlw status``: the progress of a dataset from a crawl to red noise."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import DATA_DIR, ROOT, find_root
from cnlw_tools.cli.votes import N_VOTES, VOTED_STORE
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.cli.next_step import Project, Voting
    from cnlw_tools.ingest.crawl_status import CrawlStatus

WIDTH = 13  # letters of the longest heading, and a blank


@click.command()
@click.option(
    "--dataset",
    metavar="NAME",
    help="Name of the dataset.  [default: all datasets of --root, one line for each]",
)
@N_VOTES
@VOTED_STORE
@DATA_DIR
@ROOT
def status(
    dataset: str | None,
    n_votes: int,
    store: Path | str | None,
    data_dir: Path | None,
    root: Path | str | None,
) -> None:
    """Show the progress of a dataset with web candidates, and the next command to run.

    With --dataset, the command prints the numbers of base images, candidates, fetched images, votes
    and verdicts. It also prints the highest level of red noise that is possible in all classes, and
    the levels that have been built. The line after `next:` is the command to run.

    Without --dataset, the command needs --root. It then prints one line for each dataset in this
    folder, and no next command.
    """
    from cnlw_tools.cli.next_step import (
        choose_next,
        count_voting,
        find_project,
        print_next,
        read_status,
    )

    if dataset is None:
        _print_all(root, n_votes)
        return
    project = find_project(dataset, root, data_dir, store)
    crawl = read_status(project, data_dir)
    voting = count_voting(project, crawl, n_votes)
    for heading, text in _describe(project, crawl, voting, n_votes):
        click.echo(f"{heading:{WIDTH}}{text}")
    print_next(*choose_next(project, crawl, voting.n_short, n_votes))


def _describe(
    project: "Project", crawl: "CrawlStatus", voting: "Voting", n_votes: int
) -> Iterator[tuple[str, str]]:
    """Yield the lines on a dataset, each with its heading."""
    from cnlw_tools.cli.votes_report import describe_levels

    place = "the package" if project.root is None else str(project.root)
    yield "dataset", f"{crawl.dataset.name} in {place}"
    yield "base images", _describe_base_images(crawl)
    yield "candidates", count_things(len(crawl.dataset.web), "candidate")
    yield "fetched", _describe_fetched(project, crawl)
    n_asked = voting.n_enough + voting.n_short
    if crawl.fetched is not None:
        yield "to vote on", _describe_asked(voting, n_asked)
    yield (
        "votes",
        f"{count_things(len(crawl.dataset.votes), 'vote')}; {voting.n_enough:,} of "
        f"{count_things(n_asked, 'candidate')} with {count_things(n_votes, 'vote')} of yes or no",
    )
    shows, shows_not, undecided, _ = crawl.verdict_counts.sum(0).tolist()
    yield (
        "verdicts",
        f"{shows:,} show their class, {shows_not:,} do not, {undecided:,} undecided",
    )
    yield "red noise", describe_levels(crawl) if len(crawl.dataset.votes) else "no votes yet"
    yield "built", _describe_build(crawl)


def _describe_asked(voting: "Voting", n_asked: int) -> str:
    """Return how many candidates people are asked about, and why not about the others."""
    reasons = []
    if voting.asked.n_unavailable:
        reasons.append(f"{voting.asked.n_unavailable:,} without a usable image")
    if voting.asked.n_copies:
        reasons.append(f"{voting.asked.n_copies:,} that look like others")
    left_out = f"; left out: {', '.join(reasons)}" if reasons else ""
    return count_things(n_asked, "candidate") + left_out


def _describe_base_images(crawl: "CrawlStatus") -> str:
    """Return how many images each split of the base manifest has."""
    import pyarrow.compute as pc

    base = crawl.dataset.base
    n_classes = count_things(len(crawl.dataset.classes), "class")
    if base is None:
        return f"{n_classes}; not imported: give --data-dir"
    counts = {
        entry["values"]: entry["counts"] for entry in pc.value_counts(base["split"]).to_pylist()
    }
    splits = [f"{split} {counts[split]:,}" for split in sorted(counts)]
    return f"{n_classes}; {', '.join(splits)}"


def _describe_fetched(project: "Project", crawl: "CrawlStatus") -> str:
    if crawl.fetched is None:
        return "no image store"
    ok, failed, untried = crawl.fetched[:3]
    return f"{ok:,} images, {failed:,} failed, {untried:,} not tried yet ({project.store})"


def _describe_build(crawl: "CrawlStatus") -> str:
    """Return which configs with red noise are built, and whether votes came after them."""
    from cnlw_tools.cli.next_step import find_red_build

    folder, configs, is_current = find_red_build(crawl)
    if not configs:
        return "no red noise yet"
    remark = "" if is_current else "; the votes or base images have changed since"
    return f"{', '.join(configs)} in {folder}{remark}"


def _print_all(root: Path | str | None, n_votes: int) -> None:
    """Print a line for each dataset of a root, without those of the package behind it.

    Raises:
        LookupError: no root is given
        ValueError: a dataset cannot be read; its line says why, and the others have theirs
    """
    from cnlw_tools.cli.next_step import find_project, read_status
    from cnlw_tools.dataset.dataset import dataset_root, list_datasets

    if root is None:
        raise LookupError(_explain_missing_root())
    folder = find_root(root)
    names = [name for name in list_datasets(folder) if dataset_root(name, folder) == folder]
    damaged = []
    for name in names:
        try:
            project = find_project(name, root)
            line = _summarise(project, read_status(project, None), n_votes)
        except (ValueError, LookupError, OSError) as error:
            damaged.append(name)
            line = f"error: {error}"
        click.echo(f"{name:20} {line}")
    if damaged:
        raise ValueError(
            f"{folder}: {', '.join(damaged)} cannot be read: see the error in the line of "
            "each dataset"
        )
    if not names:
        click.echo(f"{folder}: no dataset is here: make one with `cnlw new` or `cnlw import`")


def _explain_missing_root() -> str:
    """Return an error that names the folders nearby that have datasets."""
    from cnlw_tools.files.roots import list_roots
    from cnlw_tools.registry.counts import list_first

    working_folder = [Path()] if Path("manifests").is_dir() else []
    nearby = [str(folder) for folder in working_folder + list_roots(Path())]
    remedy = "Give --root DIR, the folder in which `cnlw new` wrote manifests/"
    if nearby:
        remedy = f"Give --root {nearby[0]}: it has manifests"
        if len(nearby) > 1:
            remedy = f"Give --root with one of these, which have manifests: {list_first(nearby)}"
    return (
        f"no folder of datasets is named. {remedy}. `cnlw list datasets` lists those of the package"
    )


def _summarise(project: "Project", crawl: "CrawlStatus", n_votes: int) -> str:
    """Return a line on a dataset."""
    from cnlw_tools.cli.next_step import count_voting
    from cnlw_tools.cli.votes_report import describe_levels

    parts = [count_things(len(crawl.dataset.web), "candidate")]
    if crawl.fetched is not None:
        parts.append(f"{crawl.fetched.ok:,} fetched")
    parts.append(count_things(len(crawl.dataset.votes), "vote"))
    if len(crawl.dataset.votes):
        n_short = count_voting(project, crawl, n_votes).n_short
        parts.append(f"{count_things(n_short, 'candidate')} short of votes")
        parts.append(f"red noise {describe_levels(crawl)}")
    return ", ".join(parts)
