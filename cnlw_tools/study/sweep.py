"""A sweep: all runs of a study. Runs that are finished are skipped, and killed ones are resumed.

First everything is checked: the runs that cannot start are known before anything is built or
trained. Then missing builds are made. A run that fails is reported, and the others go on. Runs that
are the same under two names are trained once (study/identical.py). The folder:

    study.json                     the study and its runs: what a report puts beside the results
    CONFIG/METHOD_OPTIONS_sSEED/   a run (trainer/run.py), or failure.json: why there is none

A config that is built alone has no folder here: the study says where its build lies.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from cnlw_tools.executor import (
    EXECUTORS,
    LOCAL,
    SERIAL,
    ClusterExecutor,
    Executor,
    Progress,
    no_progress,
)
from cnlw_tools.executor.work_shard import WHOLE, WorkShard
from cnlw_tools.files.storage import RemoteFolder, below, is_address
from cnlw_tools.recipe.run_files import (
    BEST_WEIGHTS,
    read_config,
    read_metrics,
    read_result,
    result_to_json,
    to_json_types,
)
from cnlw_tools.study.check import KNOWN_ERRORS, Problem, describe, find_problems, run_preset
from cnlw_tools.study.configs import config_key, describe_configs
from cnlw_tools.study.expand import RunSpec, build_missing, is_built
from cnlw_tools.study.identical import choose_leader, copy_run, group_identical, recorded_choices
from cnlw_tools.study.pulls import pull_builds, pull_runs
from cnlw_tools.study.remote_runs import train_on_cluster
from cnlw_tools.study.spec import Study
from cnlw_tools.study.study_file import (
    FAILURE,
    SHARD_MARKS,
    STUDY,
    StudyFile,
    clear_failure,
    mark_shard,
    write_failure,
    write_study_file,
)
from cnlw_tools.study.workers import (
    Outcome,
    SweepPaths,
    WatchRuns,
    train_runs,
    watch_nothing,
)


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep is going to do on this machine."""

    runs: Sequence[RunSpec]  # of this machine, in the order of the study
    results: Mapping[str, dict[str, Any]]  # of the finished ones, by name
    problems: Sequence[Problem]  # of the others
    groups: Sequence[Sequence[RunSpec]]  # unfinished runs without a problem; one of each is trained
    paths: SweepPaths
    work_shard: WorkShard = WHOLE  # of several machines

    @property
    def failing(self) -> dict[str, str]:
        """Why runs cannot start, by name."""
        return {run.name: problem.reason for problem in self.problems for run in problem.runs}

    @property
    def unfinished(self) -> list[RunSpec]:
        """The runs to make: neither finished nor with a problem."""
        return [run for group in self.groups for run in group if run.name not in self.results]


def plan_sweep(
    runs: Sequence[RunSpec],
    paths: SweepPaths,
    work_shard: WorkShard = WHOLE,
    executor: Executor = SERIAL,
) -> SweepPlan:
    """Find out what is finished, which runs cannot start, and which are the same.

    Nothing is written but copies of what is at addresses. Every machine shares the runs of a study
    out alike: those that are the same go to one machine.

    Args:
        runs: all of the study
        paths: where to read and write
        work_shard: the share of one of several machines
        executor: reads validation images, if there is a store of web images
    """
    pull_builds(runs, paths.builds)
    configs = describe_configs(runs, paths, executor)
    groups = work_shard.select(group_identical(runs, paths, configs))
    names = {run.name for group in groups for run in group}
    shard_runs = [run for run in runs if run.name in names]
    busy_names = pull_runs(shard_runs, paths.out, paths.keep_best)
    resting_runs = [run for run in shard_runs if run.name not in busy_names]
    results, problems = _find_results(resting_runs, paths)
    problem_names = {run.name for problem in problems for run in problem.runs}
    unfinished = []
    for run in shard_runs:
        if run.name not in results and run.name not in problem_names:
            unfinished.append(run)
    problems += find_problems(unfinished, paths, configs)
    plan = _make_plan(shard_runs, results, problems, groups, paths)
    return replace(plan, work_shard=work_shard)


def _make_plan(
    runs: Sequence[RunSpec],
    results: Mapping[str, dict[str, Any]],
    problems: Sequence[Problem],
    groups: Sequence[Sequence[RunSpec]],
    paths: SweepPaths,
) -> SweepPlan:
    failing = {run.name for problem in problems for run in problem.runs}
    workable = []
    for group in groups:
        members = [run for run in group if run.name not in failing]
        if any(run.name not in results for run in members):
            workable.append(members)
    return SweepPlan(runs, results, problems, workable, paths)


def _find_results(
    runs: Sequence[RunSpec], paths: SweepPaths
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Return the results of the finished runs, and what is wrong with folders of others."""
    results: dict[str, dict[str, Any]] = {}
    runs_by_reason: dict[str, list[RunSpec]] = {}
    for run in runs:
        try:
            result = find_result(run, paths)
        except (ValueError, OSError) as error:
            runs_by_reason.setdefault(describe(error), []).append(run)
            continue
        if result is not None:
            results[run.name] = result
    return results, [Problem(reason, group, False) for reason, group in runs_by_reason.items()]


def find_result(run: RunSpec, paths: SweepPaths) -> dict[str, Any] | None:
    """Return the result of a run, which is empty for a build alone; none if it is not finished.

    Raises:
        ValueError: the run in its folder made other choices, or cannot be read
    """
    if not run.method:
        return {} if is_built(run, paths.builds) else None
    folder = paths.run_folder(run)
    result = read_result(folder)
    if result is None:
        return None
    config = read_config(folder)
    for key, value in _expected_config(run, paths).items():
        difference = _find_difference(key, getattr(config, key), value)
        if difference:
            raise ValueError(
                f"the run in {paths.out} has {difference}: use another --out, or change the study"
            )
    if paths.keep_best and not (folder / BEST_WEIGHTS).exists():
        raise ValueError(
            f"the run in {paths.out} has ended without {BEST_WEIGHTS}: omit --keep-best, or use "
            "another --out"
        )
    return result_to_json(result)


def _find_difference(key: str, old: Any, new: Any) -> str:
    """Return what differs between two values, by the innermost key; an empty text if nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *new]:
            difference = _find_difference(f"{key}.{name}", old.get(name), new.get(name))
            if difference:
                return difference
        return ""
    return "" if old == new else f"{key} = {old!r}, and the study now has {new!r}"


def estimate_seconds(runs: Sequence[RunSpec], paths: SweepPaths) -> float | None:
    """Return how long the unfinished runs will take, one after the other; none if no epoch has run.

    An epoch takes as long as those of the same method and network did on average, or as all did.
    """
    all_seconds: list[float] = []
    seconds_by_kind: dict[tuple[str, str | None], list[float]] = {}
    epochs_left: list[tuple[RunSpec, int]] = []
    for run in runs:
        if not run.method:
            continue
        folder = paths.run_folder(run)
        seconds = [metrics["seconds"] for metrics in read_metrics(folder)]
        all_seconds += seconds
        seconds_by_kind.setdefault((run.method, run.net), []).extend(seconds)
        if not (folder / "result.json").is_file():
            epochs = run_preset(run, paths).epochs
            epochs_left.append((run, max(0, epochs - len(seconds))))
    if epochs_left and not all_seconds:
        return None
    total = 0.0
    for run, epochs in epochs_left:
        seconds = seconds_by_kind[run.method, run.net] or all_seconds
        total += epochs * sum(seconds) / len(seconds)
    return total


def run_sweep(
    plan: SweepPlan,
    jobs: int = 1,
    workers: int | None = 1,
    progress: Progress = no_progress,
    watch: WatchRuns = watch_nothing,
    cluster: ClusterExecutor | None = None,
) -> Iterator[Outcome]:
    """Make all runs that are not finished; yield the outcome of each when it is known.

    Args:
        plan: of `plan_sweep`
        jobs: runs at once, each with its share of the processors, and a GPU in turn
        workers: processes that build; none: one for each processor
        progress: is told how builds proceed
        watch: is told how far the runs are that train
        cluster: builds and trains in place of this machine; jobs and workers then say nothing

    Raises:
        OSError: the folder cannot be written
        Interrupted: a signal stopped it; the outcomes of runs that trained have been yielded
    """
    for run in plan.runs:
        if run.name in plan.failing:
            yield _fail(run, plan.failing[run.name], plan.paths)
        elif run.name in plan.results:
            yield Outcome(run, "skipped", plan.results[run.name])
    unfinished = plan.unfinished
    with nullcontext(cluster) if cluster else EXECUTORS[LOCAL](workers) as executor:
        builds, inputs = plan.paths.builds, plan.paths.inputs
        errors = build_missing(unfinished, builds, inputs, executor, progress)
    trainable = set()
    for run in unfinished:
        message = errors.get(config_key(run))
        if message is not None:
            yield _fail(run, message, plan.paths)
        elif run.method:
            trainable.add(run.name)
        else:
            yield Outcome(run, "done", {})
    train = partial(train_runs, jobs=jobs, watch=watch)
    if cluster:
        train = partial(train_on_cluster, cluster=cluster, watch=watch)
    yield from _train_groups(_select_groups(plan, trainable), plan, train)


def _select_groups(plan: SweepPlan, trainable: set[str]) -> list[list[RunSpec]]:
    """Return the groups with a run to train, each with its finished and its trainable runs."""
    groups = []
    for group in plan.groups:
        members = [run for run in group if run.name in trainable or run.name in plan.results]
        if any(run.name in trainable for run in members):
            groups.append(members)
    return groups


def _train_groups(
    groups: Sequence[Sequence[RunSpec]],
    plan: SweepPlan,
    train: Callable[[Sequence[RunSpec], SweepPaths], Iterator[Outcome]],
) -> Iterator[Outcome]:
    """Train one run of each group, unless one is finished, and copy it to the others."""
    followers: dict[str, list[RunSpec]] = {}
    leaders = []
    for group in groups:
        leader = choose_leader(group, plan.paths)
        followers[leader.name] = []
        for run in group:
            if run is not leader and run.name not in plan.results:
                followers[leader.name].append(run)
        if leader.name in plan.results:
            finished = Outcome(leader, "skipped", plan.results[leader.name])
            yield from _follow(finished, followers[leader.name], plan.paths)
        else:
            leaders.append(leader)
    for outcome in train(leaders, plan.paths):
        if outcome.state == "failed":
            yield _fail(outcome.run, outcome.reason, plan.paths)
        else:
            _clear_failure(outcome.run, plan.paths)
            yield outcome
        yield from _follow(outcome, followers[outcome.run.name], plan.paths)


def _follow(leader: Outcome, runs: Sequence[RunSpec], paths: SweepPaths) -> Iterator[Outcome]:
    """Yield the outcomes of runs that are the same run as one whose outcome is known."""
    for run in runs:
        if leader.state == "failed":
            yield _fail(run, leader.reason, paths)
        elif not leader.result:
            yield Outcome(run, "undone", {}, "not begun", leader.exit_code)
        else:
            try:
                copy_run(leader.run, run, paths)
            except KNOWN_ERRORS as error:
                yield _fail(run, describe(error), paths)
                continue
            _clear_failure(run, paths)
            yield Outcome(run, "done", leader.result, f"the same run as {leader.run.name}")


def _fail(run: RunSpec, reason: str, paths: SweepPaths) -> Outcome:
    """Return the outcome of a run that failed, and write why into its folder, for the report."""
    if run.method:
        write_failure(paths.run_folder(run), reason)
        place = below(paths.out, run.name)
        if is_address(place):
            RemoteFolder(place).put(paths.run_folder(run) / FAILURE, FAILURE)
    return Outcome(run, "failed", {}, reason)


def _clear_failure(run: RunSpec, paths: SweepPaths) -> None:
    """Forget that a run failed before."""
    clear_failure(paths.run_folder(run))
    place = below(paths.out, run.name)
    if is_address(place):
        remote = RemoteFolder(place)
        if FAILURE in remote.list_files():
            remote.delete(FAILURE)


def record_study(
    study: Study,
    runs: Sequence[RunSpec],
    name: str,
    scale: str,
    paths: SweepPaths,
    work_shard: WorkShard = WHOLE,
) -> None:
    """Write the study and all its runs into the folder, for the report.

    Raises:
        ValueError: sweeps of another number of shards have run there
        OSError: the folder cannot be written
    """
    if work_shard != WHOLE:
        _mark_shard(work_shard, paths)
    command = tuple(sys.argv)
    study_file = StudyFile(name, scale, study, tuple(runs), str(paths.builds), command)
    write_study_file(paths.folder, study_file)
    if is_address(paths.out):
        RemoteFolder(paths.out).put(paths.folder / STUDY, STUDY)


def _mark_shard(work_shard: WorkShard, paths: SweepPaths) -> None:
    """Note in the folder of the runs which shard of the study is run there.

    Raises:
        ValueError: sweeps of another number of shards have run there
    """
    if not is_address(paths.out):
        mark_shard(paths.folder, work_shard)
        return
    remote = RemoteFolder(paths.out)
    paths.folder.mkdir(parents=True, exist_ok=True)
    for path in paths.folder.glob(SHARD_MARKS):
        path.unlink()
    for mark in remote.list_files():
        if fnmatchcase(mark, SHARD_MARKS):
            (paths.folder / mark).touch()
    mark = mark_shard(paths.folder, work_shard)
    remote.put(paths.folder / mark, mark)


def _expected_config(run: RunSpec, paths: SweepPaths) -> dict[str, Any]:
    """Return what config.json of a run has to say."""
    preset = run_preset(run, paths)
    return to_json_types({"config": run.config, **recorded_choices(run, preset)})
