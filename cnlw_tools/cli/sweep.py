"""``cnlw sweep``: all runs of a study."""

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from cnlw_tools.cli.options import (
    CACHE,
    DATA_DIR,
    DEVICE,
    DONOR,
    ENGINE,
    KEEP_BEST,
    ROOT,
    SHARD,
    STORE,
    WORKERS,
    PathOrAddress,
    find_root,
    read_inputs,
)
from cnlw_tools.registry.counts import count_things, list_first

if TYPE_CHECKING:
    from cnlw_tools.executor import ClusterExecutor
    from cnlw_tools.executor.progress import BarStack
    from cnlw_tools.study.expand import RunSpec
    from cnlw_tools.study.spec import Study
    from cnlw_tools.study.sweep import SweepPlan
    from cnlw_tools.study.workers import Outcome, RunProgress, SweepPaths

STATES = ("done", "skipped", "failed", "stopped", "undone")
MAX_NAMES = 10  # of undone and failed runs that are printed
SECONDS_BETWEEN_ESTIMATES = 5.0


@click.command()
@click.argument("study_name", metavar="STUDY")
@click.option(
    "--out",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of the runs.  [default: runs/STUDY, or runs/STUDY_SCALE]",
)
@click.option(
    "--scale",
    default="",
    help="Scale of the study, such as small (for a laptop) or paper (published settings).  "
    "[default: none; required if the study has scales]",
)
@click.option(
    "--builds",
    type=PathOrAddress(path_type=Path),
    default=Path("builds"),
    show_default=True,
    help="Folder or address of the builds.",
)
@DATA_DIR
@DONOR
@STORE
@CACHE
@DEVICE
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Number of runs to train at once.  [default: 1, or as many as fit on the cluster]",
)
@SHARD
@click.option(
    "--dry-run",
    is_flag=True,
    help="Train nothing; list runs, those that cannot start, and the time left (if known).",
)
@KEEP_BEST
@ROOT
@ENGINE
@WORKERS
def sweep(
    study_name: str,
    out: Path | str | None,
    scale: str,
    builds: Path | str,
    data_dir: Path | None,
    donors: tuple[str, ...],
    store: Path | None,
    cache: Path | None,
    device: str,
    jobs: int | None,
    shard: str | None,
    dry_run: bool,
    keep_best: bool,
    root: Path | None,
    engine: str,
    workers: int | None,
) -> None:
    """Train all runs of a study. Finished runs are skipped, and interrupted ones are resumed.

    STUDY is a TOML file or a name from `cnlw list studies`. The command first lists the runs that
    cannot start (for example, because images are missing), then makes missing builds and trains the
    other runs. If a run fails, the others continue. If several runs are identical, one is trained,
    and the others get its results. The exit code is 0 if all runs are done, 1 if some failed or
    could not start, and 130 or 143 after a signal.
    """
    from cnlw_tools.study.run_study import default_folder, open_cluster, with_device
    from cnlw_tools.study.spec import find_study
    from cnlw_tools.study.workers import SweepPaths

    path = find_study(study_name, find_root(root))
    inputs = read_inputs(root, data_dir, donors, store)
    studies = _read_studies(path, scale, dry_run, inputs.root)
    is_impossible = False
    with open_cluster(engine, workers, jobs, dry_run) as cluster:
        for name, (study, all_runs) in studies.items():
            folder = out or default_folder(path, name)
            paths = SweepPaths(folder, inputs, builds, device, cache, keep_best)
            plan = _plan(all_runs, paths, shard, workers, cluster)
            if not dry_run:
                plan = with_device(plan, cluster)
            if len(studies) > 1 or name != scale:
                click.echo(f"--scale {name}:")
            _print_problems(plan)
            if dry_run:
                _print_runs(plan, jobs or 1)
                is_impossible |= any(not problem.is_of_data for problem in plan.problems)
            else:
                _run(plan, study, all_runs, path.stem, scale, jobs or 1, workers, cluster)
    raise SystemExit(int(is_impossible))


def _read_studies(
    path: Path, scale: str, dry_run: bool, root: Path
) -> "dict[str, tuple[Study, list[RunSpec]]]":
    """Return a study and all its runs at a scale; for a dry run that names none, at each scale."""
    from cnlw_tools.study.expand import expand_study
    from cnlw_tools.study.spec import read_study, study_scales

    scales = [scale]
    if dry_run and not scale:
        scales = study_scales(path) or [""]
    studies = {}
    for name in scales:
        study = read_study(path, name)
        studies[name] = (study, expand_study(study, root))
    return studies


def _plan(
    runs: Sequence["RunSpec"],
    paths: "SweepPaths",
    shard: str | None,
    workers: int | None,
    cluster: "ClusterExecutor | None",
) -> "SweepPlan":
    from cnlw_tools.executor import EXECUTORS, LOCAL
    from cnlw_tools.executor.work_shard import WHOLE, parse_work_shard
    from cnlw_tools.study.sweep import plan_sweep

    work_shard = WHOLE if shard is None else parse_work_shard(shard)
    with nullcontext(cluster) if cluster else EXECUTORS[LOCAL](workers) as executor:
        return plan_sweep(runs, paths, work_shard, executor)


def _print_problems(plan: "SweepPlan") -> None:
    """Print which runs cannot start, each cause once."""
    for problem in plan.problems:
        click.echo(f"cannot start: {problem.describe(len(plan.runs))}", err=True)


def _print_runs(plan: "SweepPlan", jobs: int) -> None:
    """Print the runs and the time that the unfinished ones may take."""
    from cnlw_tools.executor.progress import format_duration
    from cnlw_tools.study.sweep import estimate_seconds

    leaders = {group[0].name for group in plan.groups}
    followers = {run.name: group[0].name for group in plan.groups for run in group[1:]}
    for run in plan.runs:
        if run.name in plan.results:
            click.echo(f"done  {run.name}")
        elif run.name in plan.failing:
            click.echo(f"fails {run.name}")
        elif run.name in followers:
            click.echo(f"same  {run.name}   as {followers[run.name]}")
        else:
            click.echo(f"todo  {run.name}")
    workable = [run for run in plan.runs if run.name in leaders or run.name in plan.results]
    seconds = estimate_seconds(workable, plan.paths)
    n_left = len(plan.runs) - len(plan.results) - len(plan.failing)
    if not any(run.method for run in plan.runs):
        estimate = "only builds, no training"
    elif not n_left:
        estimate = "nothing to train"
    elif seconds is None:
        estimate = "the time is known once an epoch has run"
    else:
        estimate = f"about {format_duration(seconds / jobs)} of training"
    click.echo(f"{count_things(len(plan.runs), 'run')}, {n_left} to do: {estimate}")


def _run(
    plan: "SweepPlan",
    study: "Study",
    all_runs: Sequence["RunSpec"],
    name: str,
    scale: str,
    jobs: int,
    workers: int | None,
    cluster: "ClusterExecutor | None",
) -> NoReturn:
    """Make the runs, print what becomes of each, and exit."""
    from cnlw_tools.executor.progress import BarStack, ProgressBars
    from cnlw_tools.executor.signals import Interrupted
    from cnlw_tools.study.remote_runs import count_runs_at_once
    from cnlw_tools.study.sweep import record_study, run_sweep

    if plan.runs and len(plan.failing) == len(plan.runs):
        raise SystemExit(1)
    record_study(study, all_runs, name, scale, plan.paths, plan.work_shard)
    exit_code = 0
    with ProgressBars() as bars, BarStack() as stack:
        n_at_once = count_runs_at_once(plan.paths.device, cluster) if cluster else jobs
        screen = SweepScreen(plan, n_at_once, stack)
        try:
            for outcome in run_sweep(plan, jobs, workers, bars, screen.watch, cluster):
                bars.close()
                screen.add(outcome)
        except Interrupted as interrupt:
            exit_code = interrupt.exit_code
    _finish(screen.outcomes, plan, exit_code)


class SweepScreen:
    """Prints the outcomes of a sweep, and below them bars of the runs that train.

    Args:
        plan: of the sweep
        jobs: runs at once
        stack: the bars
    """

    def __init__(self, plan: "SweepPlan", jobs: int, stack: "BarStack") -> None:
        self.plan, self.jobs, self.stack = plan, jobs, stack
        self.outcomes: list[Outcome] = []
        self.n_printed = 0  # outcomes of runs that have begun, or cannot
        self.reasons: dict[str, str] = {}  # of failures -> the first run that failed so
        self.seconds_left: float | None = None
        self.next_estimate = 0.0  # seconds of the clock
        for problem in plan.problems:
            self.reasons[problem.reason] = ""

    def add(self, outcome: "Outcome") -> None:
        """Print an outcome; those that did not begin are named together at the end."""
        self.outcomes.append(outcome)
        self.next_estimate = 0
        if outcome.state == "undone":
            return
        self.n_printed += 1
        count = f"{self.n_printed:4}/{len(self.plan.runs)}"
        parts = [f"{count} {outcome.state:8}{outcome.run.name}", *self._describe(outcome)]
        is_known = outcome.state == "failed" and self.reasons.get(outcome.reason) == ""
        if not is_known:
            self.stack.print(_fit(*parts), click.echo)

    def watch(self, progress: Mapping[int, "RunProgress"]) -> None:
        """Draw how far the runs are that train, and the time left for all."""
        if not self.stack.enabled:
            return
        self.stack.keep([0, *(slot + 1 for slot in progress)])
        n_runs = len(self.plan.runs)
        text = f"{len(self.outcomes)} of {count_things(n_runs, 'run')}{self._time_left()}"
        self.stack.show(0, text, len(self.outcomes), n_runs)
        for slot, run in progress.items():
            text = f"{run.run.name}  {run.stage}"
            self.stack.show(slot + 1, text, run.done, run.total)

    def _describe(self, outcome: "Outcome") -> list[str]:
        """Return the results of a run, or the reason why it has none; the same reason once."""
        from cnlw_tools.recipe.run_files import format_result

        if outcome.state == "failed":
            first = self.reasons.setdefault(outcome.reason, outcome.run.name)
            return [outcome.reason if first == outcome.run.name else f"as {first}"]
        if not outcome.result:
            return [outcome.reason]
        results = format_result(outcome.result)
        return [results, f"({outcome.reason})"] if outcome.reason else [results]

    def _time_left(self) -> str:
        """Return the time that all unfinished runs may take; it is estimated now and then."""
        from cnlw_tools.executor.progress import format_duration
        from cnlw_tools.study.sweep import estimate_seconds

        now = time.monotonic()
        if now >= self.next_estimate:
            leaders = [run for group in self.plan.groups for run in group[:1]]
            self.seconds_left = estimate_seconds(leaders, self.plan.paths)
            self.next_estimate = now + SECONDS_BETWEEN_ESTIMATES
        if self.seconds_left is None:
            return ""
        return f", about {format_duration(self.seconds_left / self.jobs)} left"


def _fit(*parts: str) -> str:
    from cnlw_tools.executor.progress import fit_parts

    return fit_parts(parts)


def _finish(outcomes: Sequence["Outcome"], plan: "SweepPlan", exit_code: int) -> NoReturn:
    """Print a summary and exit: with the code of a signal, else 1 if a run failed."""
    states = {outcome.run.name: outcome.state for outcome in outcomes}
    counts = dict.fromkeys(STATES, 0)
    for run in plan.runs:
        counts[states.get(run.name, "undone")] += 1
    summary = ", ".join(f"{count} {state}" for state, count in counts.items())
    click.echo(_fit(f"{plan.paths.out}: {summary}"))
    for state in ("failed", "undone"):
        names = [run.name for run in plan.runs if states.get(run.name, "undone") == state]
        if names:
            click.echo(_fit(f"{state}: {list_first(names, MAX_NAMES)}"), err=True)
    exit_code = exit_code or max((outcome.exit_code for outcome in outcomes), default=0)
    if exit_code:
        is_done = counts["done"] + counts["skipped"] == len(plan.runs)
        remedy = "all runs are done" if is_done else "run the same command again to resume"
        click.echo(f"stopped: {remedy}", err=True)
        raise SystemExit(exit_code)
    if counts["done"] + counts["skipped"]:
        click.echo(f"next: cnlw report {shlex.quote(str(plan.paths.out))}", err=True)
    raise SystemExit(min(counts["failed"], 1))
