"""``cnlw sweep``: a study, run by run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import DONOR, ROOT, STORE, WORKERS, find_root, read_inputs

if TYPE_CHECKING:
    from cnlw_tools.study.expand import RunSpec
    from cnlw_tools.study.workers import Outcome, SweepPaths


@click.command()
@click.argument("recipe")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the runs.  [default: runs/NAME, or NAME_SCALE]",
)
@click.option(
    "--scale", default="", help="Of the study's: small fits a laptop, paper is what the paper did."
)
@click.option(
    "--builds",
    type=click.Path(path_type=Path),
    default=Path("builds"),
    show_default=True,
    help="Where builds lie.",
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where your copy of the images lies."
)
@DONOR
@STORE
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at once.")
@click.option(
    "--part", "share", metavar="I/N", default="1/1", help="Every Nth run, for one of N machines."
)
@click.option("--dry-run", is_flag=True, help="Print the runs and the time they may take.")
@ROOT
@WORKERS
def sweep(
    recipe: str,
    out: Path | None,
    scale: str,
    builds: Path,
    data_dir: Path | None,
    donors: tuple[str, ...],
    store: Path | None,
    device: str,
    jobs: int,
    share: str,
    dry_run: bool,
    root: Path | None,
    workers: int | None,
) -> None:
    """Run a study: what is finished is skipped, what was killed goes on, what fails is reported in the end.

    RECIPE is a TOML file or a name from `cnlw list studies`. Exit code: 0 all runs are done, 1 some failed.
    """
    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.study import spec as studies
    from cnlw_tools.study import sweep as sweeps
    from cnlw_tools.study.expand import expand_study
    from cnlw_tools.study.workers import SweepPaths

    path = studies.find_study(recipe, find_root(root))
    chosen = studies.read_study(path, scale)
    where = out or Path("runs") / "_".join(filter(None, [path.stem, scale]))
    paths = SweepPaths(where, read_inputs(root, data_dir, donors, store), builds, device)
    every = expand_study(chosen, find_root(root))
    runs = sweeps.select_part(every, share)
    if dry_run:
        return _dry(runs, paths, jobs)
    sweeps.record_study(chosen, every, path.stem, scale, paths)
    with Bars() as bars:
        outcomes = []
        for outcome in sweeps.run_sweep(runs, paths, jobs, workers, bars):
            bars.close()
            outcomes.append(outcome)
            _echo(outcome, len(outcomes), len(runs))
    return _end(outcomes, where)


def _dry(runs: list["RunSpec"], paths: "SweepPaths", jobs: int) -> None:
    """Print the runs and the time they may take."""
    from cnlw_tools.study.sweep import estimate_seconds, find_result

    left = 0
    for run in runs:
        done = find_result(run, paths)
        left += done is None
        click.echo(f"{'todo' if done is None else 'done':5} {run.name}")
    seconds = estimate_seconds(runs, paths)
    said = (
        "nothing ran yet that it could be estimated by"
        if seconds is None
        else f"about {seconds / jobs / 60:.1f} min"
    )
    click.echo(f"{len(runs)} runs, {left} to do: {said}")


def _echo(outcome: "Outcome", done: int, many: int) -> None:
    """Print the outcome of a run."""
    said = "  ".join(
        f"{name} {outcome.result[name]:.2f} %"
        for name in ("last", "best", "mean10")
        if outcome.result
    )
    click.echo(f"{done:4}/{many} {outcome.state:8} {outcome.run.name}   {said or outcome.reason}")


def _end(outcomes: list["Outcome"], where: Path) -> None:
    """Sum up; leave with 1 if a run failed, with 143 for SIGTERM and 130 for Ctrl-C if one was stopped."""
    count = {
        state: sum(o.state == state for o in outcomes)
        for state in ("done", "skipped", "failed", "stopped")
    }
    click.echo(f"{where}: " + ", ".join(f"{n} {state}" for state, n in count.items()))
    for outcome in outcomes:
        if outcome.state == "failed":
            click.echo(f"failed: {outcome.run.name}: {outcome.reason}", err=True)
    if count["stopped"]:
        click.echo("stopped: the same command goes on", err=True)
    raise SystemExit(max((o.exit_code for o in outcomes), default=0) or min(count["failed"], 1))
