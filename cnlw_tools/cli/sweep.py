"""``cnlw sweep``: all runs of a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from cnlw_tools.cli.options import (
    CACHE,
    DATA_DIR,
    DEVICE,
    DONOR,
    ROOT,
    STORE,
    WORKERS,
    find_root,
    read_inputs,
)

if TYPE_CHECKING:
    from cnlw_tools.study.expand import RunSpec
    from cnlw_tools.study.spec import Study
    from cnlw_tools.study.workers import Outcome, SweepPaths

STATES = ("done", "skipped", "failed", "stopped", "undone")
MOST_NAMES = 10  # of undone runs that are printed


@click.command(short_help="Make all runs of a study.")
@click.argument("study_name", metavar="STUDY")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the runs.  [default: runs/STUDY, or runs/STUDY_SCALE]",
)
@click.option(
    "--scale",
    default="",
    help="Scale of the study: small fits a laptop, paper is what the paper did.",
)
@click.option(
    "--builds",
    type=click.Path(path_type=Path),
    default=Path("builds"),
    show_default=True,
    help="Folder of the builds.",
)
@DATA_DIR
@DONOR
@STORE
@CACHE
@DEVICE
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of runs at once.",
)
@click.option(
    "--shard",
    metavar="I/N",
    default="1/1",
    help="Make the Ith of N parts of the runs, on one of N machines.",
)
@click.option("--dry-run", is_flag=True, help="Print the runs and the time they may take.")
@ROOT
@WORKERS
def sweep(
    study_name: str,
    out: Path | None,
    scale: str,
    builds: Path,
    data_dir: Path | None,
    donors: tuple[str, ...],
    store: Path | None,
    cache: Path | None,
    device: str,
    jobs: int,
    shard: str,
    dry_run: bool,
    root: Path | None,
    workers: int | None,
) -> None:
    """Make all runs of a study. Finished runs are skipped, and stopped ones are resumed.

    STUDY is a TOML file or a name from `cnlw list studies`. A run that fails is reported, and the
    others go on. Exit code: 0 all runs are done, 1 some failed, 130 or 143 a signal stopped it.
    """
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.study.spec import find_study, study_scales
    from cnlw_tools.study.sweep import record_study, run_sweep, select_shard
    from cnlw_tools.study.workers import SweepPaths

    path = find_study(study_name, find_root(root))
    inputs = read_inputs(root, data_dir, donors, store)
    if dry_run and not scale:
        for name in study_scales(path) or [""]:
            _, runs = _expand(path, name, inputs.root)
            paths = SweepPaths(out or _default_folder(path, name), inputs, builds, device, cache)
            if name:
                click.echo(f"--scale {name}:")
            _print_runs(select_shard(runs, shard), paths, jobs)
        return
    study, all_runs = _expand(path, scale, inputs.root)
    paths = SweepPaths(out or _default_folder(path, scale), inputs, builds, device, cache)
    runs = select_shard(all_runs, shard)
    if dry_run:
        _print_runs(runs, paths, jobs)
        return
    record_study(study, all_runs, path.stem, scale, paths)
    outcomes = []
    with ProgressBars() as bars:
        for outcome in run_sweep(runs, paths, jobs, workers, bars):
            bars.close()
            outcomes.append(outcome)
            _print_outcome(outcome, f"{len(outcomes):4}/{len(runs)}")
    _finish(outcomes, paths.out)


def _expand(path: Path, scale: str, root: Path) -> "tuple[Study, list[RunSpec]]":
    """Return a study at one of its scales, and all its runs."""
    from cnlw_tools.study.expand import expand_study
    from cnlw_tools.study.spec import read_study

    study = read_study(path, scale)
    return study, expand_study(study, root)


def _default_folder(path: Path, scale: str) -> Path:
    return Path("runs") / "_".join(filter(None, [path.stem, scale]))


def _print_runs(runs: Sequence["RunSpec"], paths: "SweepPaths", jobs: int) -> None:
    """Print the runs and the time that the unfinished ones may take."""
    from cnlw_tools.study.sweep import estimate_seconds, find_result

    n_unfinished = 0
    for run in runs:
        is_finished = find_result(run, paths) is not None
        n_unfinished += not is_finished
        click.echo(f"{'done' if is_finished else 'todo':5} {run.name}")
    seconds = estimate_seconds(runs, paths)
    if not any(run.method for run in runs):
        estimate = "builds alone, no training"
    elif seconds is None:
        estimate = "no run yet that their time could be estimated by"
    else:
        estimate = f"about {seconds / jobs / 60:.1f} min of training"
    click.echo(f"{len(runs)} runs, {n_unfinished} to do: {estimate}")


def _print_outcome(outcome: "Outcome", count: str) -> None:
    """Print a line of a run; those that did not begin are named together at the end."""
    if outcome.state != "undone":
        click.echo(f"{count} {_describe_outcome(outcome)}")


def _describe_outcome(outcome: "Outcome") -> str:
    """Return the state and the name of a run, and its results or the reason why it has none."""
    from cnlw_tools.recipe.run_files import format_result

    results = format_result(outcome.result) if outcome.result else ""
    return f"{outcome.state:8} {outcome.run.name}   {results or outcome.reason}"


def _finish(outcomes: Sequence["Outcome"], folder: Path) -> NoReturn:
    """Print a summary and exit: with the code of a run that was stopped, else 1 if one failed."""
    counts = dict.fromkeys(STATES, 0)
    for outcome in outcomes:
        counts[outcome.state] += 1
    summary = ", ".join(f"{count} {state}" for state, count in counts.items())
    click.echo(f"{folder}: {summary}")
    for outcome in outcomes:
        if outcome.state == "failed":
            click.echo(f"failed: {outcome.run.name}: {outcome.reason}", err=True)
    undone = [outcome.run.name for outcome in outcomes if outcome.state == "undone"]
    if undone:
        more = f" ... {len(undone):,} in all" if len(undone) > MOST_NAMES else ""
        click.echo(f"undone: {', '.join(undone[:MOST_NAMES])}{more}", err=True)
    if counts["stopped"] or undone:
        click.echo("stopped: run the same command again to resume", err=True)
    exit_code = max((outcome.exit_code for outcome in outcomes), default=0)
    raise SystemExit(exit_code or min(counts["failed"], 1))
