"""Tables of text, and how they are written as Markdown; see latex.py and page.html for the rest."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cnlw_tools.recipe.run_files import TAIL
from cnlw_tools.registry.counts import join_words
from cnlw_tools.reports.method_order import method_sort_key
from cnlw_tools.reports.statistics import MeanInterval, is_above, mean_interval
from cnlw_tools.reports.trials import PlannedRun, Trial, format_options, natural_sort_key

RESULT_METRICS = ("last", "best", "mean10")
EPOCHS_OF: Mapping[str, str] = {  # by the result of a run
    "last": "after the last epoch",
    "best": "at the best epoch",
    "mean10": "averaged over the last ten epochs",
}
ONE_SEED_CAPTION = (
    "The numbers are top-1 accuracies on the validation set in percent. The number of seeds is in "
    "parentheses."
)
RESULTS_CAPTION = (
    "The numbers are top-1 accuracies on the validation set in percent: means over seeds, ± the "
    "half-width of the 95 % t-interval if there are several seeds. The number of seeds is in "
    "parentheses."
)
AHEAD_CAPTION = (
    "A method is ahead of another one if its interval lies above the other interval. Differences "
    "are computed before rounding."
)
BOLD_CAPTION = (
    "In each {line}, the highest mean is bold if its interval overlaps with no other interval in "
    "the {line}."
)
NO_BOLD_CAPTION = "No mean is bold in a {line} that has a result of a single seed."
MEAN_COLUMN_CAPTION = (
    "The last column has the mean over the noise levels, ± the half-width of the 95 % t-interval "
    "over these levels."
)
EMPTY = "–"
NOT_RUN = "not run"
FAILED = "failed"
NOT_AVERAGED = "not averaged"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text."""

    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    notes: list[str] = field(default_factory=list)
    bold: frozenset[tuple[int, int]] = frozenset()  # row and column of a cell
    n_text_columns: int = 1  # from the left; the others hold numbers


def format_mean_interval(result: MeanInterval | None) -> str:
    """Return a mean, half its interval and the number of values, ``2.00 ± 0.13 (5)``."""
    if result is None:
        return EMPTY
    if result.n == 1:
        return f"{result.mean:.2f} (1)"
    return f"{result.mean:.2f} ± {result.half_width:.2f} ({result.n})"


def metric_title(metric: str, trials: Iterable[Trial]) -> str:
    """Return what a result of some trials is, with the number of epochs that a mean is over."""
    if metric != "mean10":
        return {"last": "Last epoch", "best": "Best epoch", "drop": "Drop"}[metric]
    tails = {min(trial.n_reported, TAIL) for trial in trials if trial.n_reported}
    if tails <= {TAIL}:
        return f"Mean of the last {TAIL} epochs"
    if len(tails) > 1:
        return f"Mean of the last {TAIL} epochs, or of all in shorter runs"
    (n_epochs,) = tails
    return f"Mean of the last {n_epochs} epochs" if n_epochs > 1 else "Mean of the only epoch"


def result_tables(
    trials: Sequence[Trial],
    metric: str,
    planned_runs: Collection[PlannedRun] = (),
    study_methods: Sequence[str] = (),
    failed_runs: Collection[PlannedRun] = (),
) -> list[Table]:
    """Return a table for each kind of noise, methods by level.

    Configs without levels share one table for each dataset, methods by config.

    Args:
        trials: the best of each method on each config; the cell of one with a problem says that it
            is not averaged
        metric: last, best or mean10
        planned_runs: those that a study asks for; the cell of one that has not been run says so
        study_methods: methods in the order of the study
        failed_runs: planned ones that have failed, which their cell says
    """
    tables = []
    for planned_group in group_results(trials, planned_runs, study_methods):
        dataset = planned_group.dataset
        failed = {
            (run.config.name, run.method) for run in failed_runs if run.config.dataset == dataset
        }
        group = replace(planned_group, failed=frozenset(failed))
        title = f"{metric_title(metric, group.trials or trials)}: {group.title}"
        if group.family:
            tables.append(_table_by_level(title, group, metric))
        else:
            tables.append(_table_by_config(title, group, metric))
    return tables


@dataclass(frozen=True, slots=True)
class ResultGroup:
    """What one table of results shows."""

    dataset: str
    family: str  # of the configs; none: they have no levels
    levels: dict[str, int | None] = field(default_factory=dict)  # by config, in order of columns
    trials: list[Trial] = field(default_factory=list)
    planned: list[tuple[str, str]] = field(default_factory=list)  # config and method
    failed: frozenset[tuple[str, str]] = frozenset()  # of the planned ones
    methods: dict[str, str] = field(default_factory=dict)  # variant -> method, in order of rows

    @property
    def title(self) -> str:
        """The dataset, and the kind of noise if there is one."""
        return f"{self.dataset}, {self.family}" if self.family else self.dataset


class ResultCell(NamedTuple):
    """One cell of a table of results."""

    result: MeanInterval | None
    text: str


def group_results(
    trials: Sequence[Trial],
    planned_runs: Collection[PlannedRun] = (),
    study_methods: Sequence[str] = (),
) -> list[ResultGroup]:
    """Group runs and plans by dataset and kind of noise; configs without levels are one kind.

    Arguments as in `result_tables`.
    """
    groups: dict[tuple[str, str], ResultGroup] = {}
    existing_runs = {PlannedRun(trial.dataset_config, trial.method_name) for trial in trials}
    for config, _ in sorted({*planned_runs, *existing_runs}, key=_run_sort_key):
        family = "" if config.level is None else config.family
        group = groups.setdefault((config.dataset, family), ResultGroup(config.dataset, family))
        group.levels[config.name] = config.level
    for group in groups.values():
        for trial in trials:
            if trial.dataset == group.dataset and trial.config in group.levels:
                group.trials.append(trial)
        for config, method in sorted(planned_runs, key=_run_sort_key):
            if config.dataset == group.dataset and config.name in group.levels:
                group.planned.append((config.name, method))
        group.methods.update(_sorted_methods(group, study_methods))
    return list(groups.values())


def _sorted_methods(group: ResultGroup, study_methods: Sequence[str]) -> dict[str, str]:
    """Return the methods of a group, those without a run too: variant -> method, in order."""
    methods = {trial.method: trial.method_name for trial in group.trials}
    for _, method_name in group.planned:
        if method_name not in methods.values():
            methods[method_name] = method_name

    def sort_key(variant: str) -> tuple[object, ...]:
        return method_sort_key(methods[variant], variant, study_methods)

    return {variant: methods[variant] for variant in sorted(methods, key=sort_key)}


def result_cells(group: ResultGroup, metric: str) -> dict[str, list[ResultCell]]:
    """Return the cells of each method, in the order of the configs."""
    trials = {(trial.method, trial.config): trial for trial in group.trials}
    cells = {}
    for method, method_name in group.methods.items():
        row = []
        for config in group.levels:
            trial = trials.get((method, config))
            if trial is None:
                row.append(ResultCell(None, _missing_text(group, config, method_name)))
            else:
                row.append(_result_cell(trial, metric))
        cells[method] = row
    return cells


def _missing_text(group: ResultGroup, config: str, method_name: str) -> str:
    """Return why a cell has no result."""
    run = (config, method_name)
    if run in group.failed:
        return FAILED
    return NOT_RUN if run in group.planned else EMPTY


def _result_cell(trial: Trial, metric: str) -> ResultCell:
    if trial.problem:
        return ResultCell(None, NOT_AVERAGED)
    result = trial.results[metric]
    return ResultCell(result, format_mean_interval(result))


def _table_by_level(
    title: str,
    group: ResultGroup,
    metric: str,
) -> Table:
    """Return a table with a row for each method and a column for each level."""
    cells = result_cells(group, metric)
    header = ["Method", *(f"{level} %" for level in group.levels.values())]
    caption = _results_caption(group, "column")
    rows = [[method, *(cell.text for cell in row)] for method, row in cells.items()]
    if len(group.levels) > 1:
        header.append("Mean")
        caption += f" {MEAN_COLUMN_CAPTION}"
        for row, row_cells in zip(rows, cells.values(), strict=True):
            row.append(_mean_over_levels(row_cells))
    return Table(
        title,
        header,
        rows,
        caption,
        bold=_highest_cells(list(cells.values())),
    )


def _table_by_config(
    title: str,
    group: ResultGroup,
    metric: str,
) -> Table:
    """Return a table of methods and configs; those of which there are more have the rows."""
    cells = result_cells(group, metric)
    has_rows_of_methods = len(cells) > len(group.levels)
    caption = _results_caption(group, "column" if has_rows_of_methods else "row")
    bold = _highest_cells(list(cells.values()))
    if has_rows_of_methods:
        rows = [[method, *(cell.text for cell in row)] for method, row in cells.items()]
        return Table(
            title,
            ["Method", *group.levels],
            rows,
            caption,
            bold=bold,
        )
    rows = []
    for i, config in enumerate(group.levels):
        rows.append([config, *(row[i].text for row in cells.values())])
    transposed = frozenset((column - 1, row + 1) for row, column in bold)
    return Table(
        title,
        ["Config", *cells],
        rows,
        caption,
        bold=transposed,
    )


def _results_caption(group: ResultGroup, line: str) -> str:
    """Return the caption of a table of results.

    It names the epochs of runs of unlike length, and the epochs that count of methods in stages.

    Args:
        group: what the table shows
        line: row or column, in which the results on one config are
    """
    last_stages: dict[str, set[int]] = {}
    for trial in group.trials:
        if trial.n_epochs and trial.n_reported and trial.n_reported < trial.n_epochs:
            last_stages.setdefault(trial.method, set()).add(trial.n_reported)
    caption = f"{describe_numbers(group.trials)}{_describe_bold(group, line)}"
    caption += _describe_lengths(group)
    if last_stages:
        caption += (
            " If a method trains in stages, the numbers cover only its last stage, which has "
            f"{_list_epochs(last_stages)}."
        )
    return caption


def describe_numbers(trials: Iterable[Trial]) -> str:
    """Return what the numbers are in a table of results of some trials."""
    n_seeds = [result.n for trial in trials for result in trial.results.values()]
    return RESULTS_CAPTION if max(n_seeds, default=1) > 1 else ONE_SEED_CAPTION


def _describe_bold(group: ResultGroup, line: str) -> str:
    """Return sentences on bold means; empty if no two results can be compared."""
    seeds: dict[str, list[int]] = {}  # by config, of each result
    for trial in group.trials:
        seeds.setdefault(trial.config, []).extend(
            result.n for metric, result in trial.results.items() if metric == RESULT_METRICS[0]
        )
    compared = [numbers for numbers in seeds.values() if len(numbers) > 1]
    if not any(min(numbers) > 1 for numbers in compared):
        return ""
    sentences = f" {BOLD_CAPTION.format(line=line)}"
    if any(min(numbers) == 1 for numbers in compared):
        sentences += f" {NO_BOLD_CAPTION.format(line=line)}"
    return sentences


def _describe_lengths(group: ResultGroup) -> str:
    """Return a sentence on runs of unlike length: by config if each has one, else by method."""
    by_method: dict[str, set[int]] = {}
    by_config: dict[str, set[int]] = {}
    for trial in group.trials:
        if trial.n_epochs:
            by_method.setdefault(trial.method, set()).add(trial.n_epochs)
            by_config.setdefault(trial.config, set()).add(trial.n_epochs)
    if len(set().union(*by_method.values())) < 2:
        return ""
    if any(len(epochs) > 1 for epochs in by_config.values()):
        names = {method: _or(epochs) for method, epochs in by_method.items()}
    else:
        configs: dict[str, list[str]] = {}
        for config in group.levels:
            if config in by_config:
                configs.setdefault(_or(by_config[config]), []).append(config)
        names = {
            f"those on {join_words(config_names)}": length
            for length, config_names in configs.items()
        }
    (first, length), *further_names = names.items()
    verb = "were" if first.startswith("those on ") else "was"
    unit = "epoch" if length == "1" else "epochs"
    parts = [f"{first} {verb} trained for {length} {unit}"]
    for name, epochs in further_names:
        parts.append(f"{name} for {epochs} {'epoch' if epochs == '1' else 'epochs'}")
    return f" The runs differ in length: {'; '.join(parts)}."


def _or(numbers: set[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


def _list_epochs(epochs_by_method: Mapping[str, set[int]]) -> str:
    """Return numbers of epochs as text, ``8 epochs for glc and 4 or 8 epochs for o2u``."""
    words = []
    for method, epochs in epochs_by_method.items():
        unit = "epoch" if epochs == {1} else "epochs"
        words.append(f"{_or(epochs)} {unit} for {method}")
    return join_words(words, max_words=len(words))


def _run_sort_key(run: PlannedRun) -> list[object]:
    """Return a key that sorts runs by dataset, config and method, as people do."""
    names = (run.config.dataset, run.config.name, run.method)
    return [natural_sort_key(name) for name in names]


def _mean_over_levels(cells: Sequence[ResultCell]) -> str:
    """Return the mean over levels and half its interval, if all of them have been run."""
    means = [cell.result.mean for cell in cells if cell.result]
    if len(means) < len(cells):
        return EMPTY
    over_levels = mean_interval(means)
    return f"{over_levels.mean:.1f} ± {over_levels.half_width:.1f}"


def _highest_cells(rows: Sequence[Sequence[ResultCell]]) -> frozenset[tuple[int, int]]:
    """Return row and column of the cell of each column whose interval lies above all others.

    A column with a cell of one seed, which has no interval, has none. Columns count from 1, since
    the first column of the table holds the methods.
    """
    highest = set()
    for j, column in enumerate(zip(*rows, strict=True), 1):
        results = [(cell.result, i) for i, cell in enumerate(column) if cell.result]
        if len(results) < 2:
            continue
        results.sort(reverse=True)
        (best, i), *lower_results = results
        if all(is_above(best, result) for result, _ in lower_results):
            highest.add((i, j))
    return frozenset(highest)


def trials_table(
    trials: Sequence[Trial],
    selected: Sequence[Trial],
    select_by: str,
) -> Table:
    """Return a table of all trials with their options, and which of them are selected.

    Args:
        trials: all trials
        selected: the best of each method on each config
        select_by: the metric by which they were selected
    """
    selected_ids = {id(trial) for trial in selected}
    rows = [_trial_row(trial, select_by, id(trial) in selected_ids) for trial in trials]
    columns = [metric_title(metric, trials) for metric in (*RESULT_METRICS, "drop")]
    header = ["Dataset", "Config", "Method", "Options", "Selected", "Epochs", *columns]
    caption = (
        "If a method has several trials on a config, the trial with the highest accuracy "
        f"{EPOCHS_OF[select_by]} is selected for the other tables (in a tie, the first in this "
        'table). The column "Options" has the options that the preset or the study sets, and the '
        "settings in which the runs of the report differ. A dash means that there are none. The "
        "drop is the accuracy of the best epoch (the one with the highest accuracy) minus that of "
        "the last epoch. The deviation is the standard deviation, over seeds, of the accuracy "
        f"{EPOCHS_OF[select_by]}; with one seed, a dash stands in its place."
    )
    return Table(
        title="All trials",
        header=[*header, "Deviation"],
        rows=rows,
        caption=caption,
        n_text_columns=5,
    )


def _trial_row(trial: Trial, select_by: str, is_selected: bool) -> list[str]:
    results = []
    for metric in (*RESULT_METRICS, "drop"):
        text = format_mean_interval(trial.results.get(metric))
        results.append(NOT_AVERAGED if trial.problem else text)
    deviation = EMPTY
    if select_by in trial.results and trial.results[select_by].n > 1:
        deviation = f"{trial.results[select_by].sd:.2f}"
    return [
        trial.dataset,
        trial.config,
        trial.method,
        format_options(trial.options) or EMPTY,
        "yes" if is_selected else "",
        str(trial.n_epochs or EMPTY),
        *results,
        deviation,
    ]


def to_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in table.rows]
    for i, j in table.bold:
        cells[i][j] = f"**{cells[i][j]}**"
    lines = [f"## {table.title}", ""]
    if table.caption:
        lines += [table.caption, ""]
    divider = ["---"] * len(table.header)
    for row in (table.header, divider, *cells):
        lines.append(f"| {' | '.join(row)} |")
    lines.append("")
    lines += [f"{i}. {note}" for i, note in enumerate(table.notes, 1)]
    return "\n".join(lines).rstrip() + "\n"
