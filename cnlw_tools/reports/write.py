"""`cnlw report`: the results of runs as a page, as tables, as a file of numbers.

DIR/index.html     everything, in one file that needs no network
DIR/tables.md      what came of them, and the tables
DIR/tables.tex     the tables for a paper
DIR/figures/       the panels of the figures, a file of each format, and captions.txt, for a paper
DIR/runs.parquet   every number (tables.RUNS)
DIR/hub/           results for the Hugging Face Hub, if its repository is named
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from cnlw_tools import files
from cnlw_tools.dataset.tables import write_parquet
from cnlw_tools.executor import SERIAL, Executor
from cnlw_tools.reports.build_figures import count_images
from cnlw_tools.reports.conclusion import find_conclusions
from cnlw_tools.reports.context import ReportContext
from cnlw_tools.reports.diagnostics import load_truths, make_diagnostics
from cnlw_tools.reports.figure_files import PAGE_FILES, FigureFiles
from cnlw_tools.reports.figure_folder import write_figures
from cnlw_tools.reports.figures import draw_figure
from cnlw_tools.reports.hub_results import write_hub_results
from cnlw_tools.reports.latex import PREAMBLE, to_latex
from cnlw_tools.reports.method_order import sort_trials
from cnlw_tools.reports.misjudged import show_misjudged
from cnlw_tools.reports.page import PageContent, render_page
from cnlw_tools.reports.provenance import provenance_tables
from cnlw_tools.reports.published import compare_with_paper, read_paper_tables
from cnlw_tools.reports.runs import (
    RunFolder,
    describe_single_stages,
    drop_copies,
    make_runs_table,
    read_run_folders,
)
from cnlw_tools.reports.study_file import StudyRecord, read_study_record
from cnlw_tools.reports.summary import describe_report, newest_date, report_title
from cnlw_tools.reports.tables import (
    AHEAD_CAPTION,
    RESULT_METRICS,
    RESULTS_CAPTION,
    Table,
    describe_numbers,
    metric_title,
    result_tables,
    to_markdown,
    trials_table,
)
from cnlw_tools.reports.trials import Trial, best_trials, epoch_curves, group_trials
from cnlw_tools.study.figures import FIGURES


class RunData(NamedTuple):
    """What was trained."""

    folders: list[RunFolder]
    table: pa.Table  # of the RUNS schema
    trials: list[Trial]  # all of them
    problems: list[str]  # runs that do not count, and trials that are not averaged


def write_report(
    folder: Path,
    out: Path,
    root: Path,
    select_by: str = "",
    variant_options: Sequence[str] = (),
    figure_files: FigureFiles = PAGE_FILES,
    executor: Executor = SERIAL,
    hub_repository: str = "",
) -> list[str]:
    """Write the report of all runs below a folder.

    Args:
        folder: of runs; made by `cnlw sweep` or `cnlw train`
        out: the folder to write to
        root: holds pipelines/, for the published numbers
        select_by: last, best or mean10: the metric that the best trial is selected by; by default
            what the study says
        variant_options: options that make a method of their own and no further trial
        figure_files: formats and sizes of the figures beside the page
        executor: where the files of runs are read
        hub_repository: OWNER/NAME of the dataset on the Hub, to write results for; empty: none

    Returns:
        what could not be reported, and why

    Raises:
        ValueError, LookupError, OSError: there is no run, or the report cannot be written
    """
    problems: list[str] = []
    record = read_study_record(folder, problems.append)
    runs = _read_runs(folder, record, variant_options, problems.append, executor)
    problems += _copy_builds(runs.folders)
    truths, truth_problems = load_truths(_needed_builds(record, runs.folders))
    select_by = select_by or record.study.select_by
    context = ReportContext(
        study_record=record,
        runs={run.name: run for run in runs.folders},
        trials=best_trials(runs.trials, select_by),
        curves=epoch_curves(runs.table),
        select_by=select_by,
        truths=truths,
    )
    content = _make_content(folder, context, runs, root, problems.append)
    if hub_repository:
        write_hub_results(out / "hub", hub_repository, context.trials, select_by, content.date)
    write_parquet(runs.table, out / "runs.parquet")
    _write_content(out, content, figure_files)
    return [*problems, *runs.problems, *truth_problems, *content.diagnostics.problems]


def _write_content(out: Path, content: PageContent, figure_files: FigureFiles) -> None:
    """Write the tables, the figures and the page."""
    tables = _all_tables(content)
    _write_text(out / "tables.md", "\n".join([_markdown_top(content), *map(to_markdown, tables)]))
    _write_text(out / "tables.tex", "\n".join([PREAMBLE, *map(to_latex, tables)]))
    write_figures(out / "figures", content.figures, figure_files)
    _write_text(out / "index.html", render_page(content))


def _read_runs(
    folder: Path,
    record: StudyRecord,
    variant_options: Sequence[str],
    on_problem: Callable[[str], object],
    executor: Executor,
) -> RunData:
    """Read all runs of a folder; none if the study builds and trains nothing."""
    only_builds = bool(record.run_specs) and not record.planned_runs()
    study_builds = {build.resolve() for build, _ in record.build_configs()}
    folders: list[RunFolder] = []
    if not only_builds:
        folders = read_run_folders(folder, on_problem, study_builds, executor)
    folders, problems = drop_copies(folders, {spec.name for spec in record.run_specs})
    labels = record.method_labels()
    table = make_runs_table(folders, labels)
    study = record.study
    variants = {*study.group_by, *variant_options, study.x_axis, study.y_axis}
    trials = group_trials(table, variants, set(labels.values()))
    trials = sort_trials(trials, record.method_names())
    problems += [trial.problem for trial in trials if trial.problem]
    problems += describe_single_stages(folders)
    problems += record.describe_failures()
    return RunData(folders, table, trials, problems)


def _copy_builds(run_folders: Sequence[RunFolder]) -> list[str]:
    """Copy what runs used of builds at an address; return which could not be copied, and why."""
    problems = []
    for run in {(run.config.build, run.config.config): run for run in run_folders}.values():
        try:
            run.copy_build()
        except (ValueError, LookupError, OSError) as error:
            problems.append(f"{run.name}: its build cannot be copied: {error}")
    return problems


def _needed_builds(record: StudyRecord, run_folders: Sequence[RunFolder]) -> list[tuple[Path, str]]:
    """Return the builds, with their configs, that runs learned from or figures show."""
    build_configs = [(run.build, run.config.config) for run in run_folders]
    if any(FIGURES[name].shows_builds for name in record.study.figures):
        build_configs += record.build_configs()
    return build_configs


def _make_content(
    folder: Path,
    context: ReportContext,
    runs: RunData,
    root: Path,
    on_problem: Callable[[str], object],
) -> PageContent:
    """Return all tables and figures of the report."""
    record = context.study_record
    shown_trials = [*context.trials, *_unaveraged_trials(context.trials, runs.trials)]
    shown_trials = sort_trials(shown_trials, record.method_names())
    results = {}
    for metric in RESULT_METRICS:
        results[metric] = result_tables(
            shown_trials,
            metric,
            record.planned_runs(),
            record.method_names(),
            record.failed_runs(),
        )
    conclusions = find_conclusions(
        shown_trials,
        context.select_by,
        record.planned_runs(),
        record.method_names(),
        runs.trials,
    )
    misjudged, misjudged_notes = show_misjudged(context)
    return PageContent(
        title=report_title(folder, record, context.trials),
        date=newest_date(runs.folders),
        about=describe_report(runs.folders, record, shown_trials),
        has_runs=bool(runs.folders),
        conclusions=conclusions,
        measure=_describe_measure(context.select_by, shown_trials),
        results=results.pop(context.select_by),
        other_results=[table for tables in results.values() for table in tables],
        notes=[*record.study.notes, *runs.problems],
        comparisons=_compare_with_papers(context, root, on_problem),
        figures={name: draw_figure(name, context) for name in record.study.figures},
        misjudged=misjudged,
        misjudged_notes=misjudged_notes,
        diagnostics=make_diagnostics(context),
        trials=trials_table(runs.trials, context.trials, context.select_by),
        provenance=provenance_tables(runs.folders, record.command),
    )


def _unaveraged_trials(best: Sequence[Trial], trials: Sequence[Trial]) -> list[Trial]:
    """Return the first trial with a problem of each method and config that has no best trial."""
    listed_cells = {(trial.dataset_config, trial.method) for trial in best}
    unaveraged = []
    for trial in trials:
        key = (trial.dataset_config, trial.method)
        if trial.problem and key not in listed_cells:
            listed_cells.add(key)
            unaveraged.append(trial)
    return unaveraged


def _compare_with_papers(
    context: ReportContext, root: Path, on_problem: Callable[[str], object]
) -> list[Table]:
    """Return the published tables of a study beside ours; those that do not exist are a problem."""
    study = context.study_record.study
    if not study.published:
        return []
    paper_tables = read_paper_tables(root)
    counts = count_images(context)
    tables = []
    for entry in study.published:
        try:
            table = compare_with_paper(entry, study, paper_tables, context.trials, counts)
        except LookupError as error:
            on_problem(f"not compared with a paper: {error}")
            continue
        tables.append(table)
    return tables


def _describe_measure(metric: str, trials: Sequence[Trial]) -> str:
    """Return which numbers the summary compares, and what the tables contain."""
    title = metric_title(metric, trials)
    numbers = describe_numbers(trials)
    measure = f"The summary above is based on the {title[:1].lower()}{title[1:]}. {numbers}"
    if numbers == RESULTS_CAPTION and len({trial.method for trial in trials}) > 1:
        measure += f" {AHEAD_CAPTION}"
    return measure


def _markdown_top(content: PageContent) -> str:
    """Return the title of the report and what came of the runs, as Markdown."""
    title = f"{content.title}, {content.date}" if content.date else content.title
    lines = [f"# {title}", "", content.about, ""]
    for conclusion in content.conclusions:
        lines += [f"- {conclusion.subject}: {' '.join(conclusion.sentences)}"]
    if content.conclusions:
        lines += ["", content.measure, ""]
    return "\n".join(lines)


def _all_tables(content: PageContent) -> list[Table]:
    """Return all tables for files that hold tables alone; the notes are one more."""
    tables = [*content.results, *content.other_results, *content.comparisons]
    for figure in content.figures.values():
        tables += figure.tables
    tables += content.diagnostics.detection
    if content.trials.rows:
        tables.append(content.trials)
    if content.notes:
        rows = [[str(i), note] for i, note in enumerate(content.notes, 1)]
        tables.append(
            Table(
                "Notes",
                ["", "Note"],
                rows,
                n_text_columns=2,
            )
        )
    return tables


def _write_text(path: Path, text: str) -> None:
    with files.atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")
