"""All runs of a study by one call, and the parts of it that `cnlw sweep` uses, too."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from cnlw_tools.executor import (
    EXECUTORS,
    LOCAL,
    ClusterExecutor,
    Progress,
    no_progress,
    open_executor,
)
from cnlw_tools.executor.work_shard import WHOLE, WorkShard, parse_work_shard
from cnlw_tools.files.mirror import Mirror
from cnlw_tools.files.storage import is_address, local_path
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.strict import between, choice
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.remote_runs import choose_cluster_device
from cnlw_tools.study.spec import find_study, read_study
from cnlw_tools.study.sweep import SweepPlan, plan_sweep, record_study, run_sweep
from cnlw_tools.study.workers import Outcome, SweepPaths


@dataclass(frozen=True, slots=True)
class SweepChoices:
    """Options of `cnlw sweep`; the help of the command says what they mean."""

    builds: str = "builds"  # a path or an address
    cache: str | None = None
    device: str = "auto"
    jobs: int | None = choice(None, check=between(1))
    keep_best: bool = False


def run_study(
    study: Path | str,
    scale: str,
    out: Path | str | None,
    shard: str | None,
    inputs: Inputs,
    choices: SweepChoices,
    engine: str = LOCAL,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> tuple[SweepPaths, list[Outcome]]:
    """Make all runs of a study that are not finished; return where, and what became of each.

    Args:
        study: file or name of the study
        scale: of the study; empty if it has none
        out: folder or address of the runs; none: where the command writes them
        shard: the share of one of several machines; none: all runs
        inputs: of its builds, and of presets
        choices: further options
        engine, workers: as for `open_executor`
        progress: is told how builds proceed

    Raises:
        ValueError, LookupError, OSError: the study cannot be read, no run can work, or the folder
            cannot be written
        Interrupted: a signal stopped it
    """
    work_shard = WHOLE if shard is None else parse_work_shard(shard)
    path = find_study(str(study), inputs.root)
    cache = None if choices.cache is None else local_path(choices.cache)
    paths = SweepPaths(
        *(_place(out or default_folder(path, scale)), inputs, _place(choices.builds)),
        *(choices.device, cache, choices.keep_best),
    )
    with open_cluster(engine, workers, choices.jobs) as cluster:
        plan = _plan(path, scale, paths, work_shard, cluster, workers)
        return paths, list(run_sweep(plan, choices.jobs or 1, workers, progress, cluster=cluster))


def _plan(
    path: Path,
    scale: str,
    paths: SweepPaths,
    work_shard: WorkShard,
    cluster: ClusterExecutor | None,
    workers: int | None,
) -> SweepPlan:
    """Return what is to be done, and write the study beside its runs.

    Raises:
        ValueError: no run can work
    """
    study = read_study(path, scale)
    all_runs = expand_study(study, paths.inputs.root)
    with nullcontext(cluster) if cluster else EXECUTORS[LOCAL](workers) as executor:
        plan = with_device(plan_sweep(all_runs, paths, work_shard, executor), cluster)
    if plan.runs and len(plan.failing) == len(plan.runs):
        raise ValueError(f"{path}: no run can work: {plan.problems[0].describe(len(plan.runs))}")
    record_study(study, all_runs, path.stem, scale, plan.paths, work_shard)
    return plan


def _place(place: Path | str) -> Path | str:
    return str(place) if is_address(place) else Path(place)


def default_folder(path: Path, scale: str) -> Path:
    """Return where the runs of a study go if no other place is given.

    Args:
        path: of the study
        scale: of the study; empty if it has none
    """
    return Path("runs") / "_".join(filter(None, [path.stem, scale]))


@contextmanager
def open_cluster(
    engine: str, workers: int | None, jobs: int | None, dry_run: bool = False
) -> Iterator[ClusterExecutor | None]:
    """Yield the cluster that makes the runs; none: this machine makes them, or nobody does.

    Args:
        engine, workers: as for `open_executor`
        jobs: runs at once, on this machine
        dry_run: nothing is made

    Raises:
        ValueError, LookupError, OSError: as for `open_executor`; or ``jobs`` has no effect
    """
    opener = open_executor(engine, workers)
    if engine == LOCAL or dry_run:
        yield None
        return
    if jobs is not None:
        raise ValueError(
            f"--jobs {jobs} cannot be used together with --engine {engine}: the cluster determines "
            "how many runs are trained at once: omit --jobs"
        )
    with opener as executor:
        yield cast(ClusterExecutor, executor)


def with_device(plan: SweepPlan, cluster: ClusterExecutor | None) -> SweepPlan:
    """Return the plan with a device that exists, if anything is to be trained.

    Raises:
        ValueError, OSError: there is no such device, or workers do not see the folder of the runs
            or of the builds
    """
    device = plan.paths.device
    if not any(run.method for run in plan.unfinished):
        return plan
    if cluster is None:
        from cnlw_tools.trainer.device import choose_device

        choose_device(device)
        return plan
    check_folders(plan.paths, cluster)
    return replace(plan, paths=replace(plan.paths, device=choose_cluster_device(device, cluster)))


def check_folders(paths: SweepPaths, cluster: ClusterExecutor) -> None:
    """Raise if the workers of a cluster do not see where a sweep writes.

    Raises:
        OSError: with the folder, or the one above it that is there, and the name of the worker
    """
    builds = Mirror(paths.builds).folder if is_address(paths.builds) else Path(paths.builds)
    folders = {_find_parent(paths.folder), _find_parent(builds)}
    for folder in sorted(folders - {Path.cwd()}):  # the workers see that one
        cluster.check_folder(folder)


def _find_parent(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    path = folder.resolve()
    return next(place for place in (path, *path.parents) if place.is_dir())
