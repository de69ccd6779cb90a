"""Numbers of the papers beside ours.

published.json holds the tables of the papers; a study says which of its runs stand beside which
cells.

    difference = mean of ours over the configs of a column - published
                 where a table counts errors, ours is 100 - top-1
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnlw_tools.files.roots import root_chain
from cnlw_tools.files.texts import read_json
from cnlw_tools.registry import pick
from cnlw_tools.reports.statistics import mean_interval
from cnlw_tools.reports.tables import EMPTY, EPOCHS_OF, NOT_RUN, Table
from cnlw_tools.reports.trials import Trial
from cnlw_tools.study.spec import FOLDER, Published, Study

FILE = "published.json"
HEADER = ["Row", "Column", "Published", "Ours", "Difference"]
NOT_BUILT = "not built"
LABELS_CAPTION = (
    "The names of rows and columns are those of the published table. The difference is our number "
    "minus the published one."
)
AUTHORS = "Ours"  # what the authors of a table call their own method
AUTHORS_CAPTION = 'In the name of a row, "Ours" means the authors of the published table.'

PaperTable = Mapping[str, Any]  # source, caption, rows, notes
PaperRow = Mapping[str, Any]  # label, cells, notes
BuildCounts = Mapping[str, int]  # of a config: images of each split, and classes


def read_paper_tables(root: Path) -> dict[str, PaperTable]:
    """Return the tables of the papers by name: those of a root, and the package's behind them."""
    paper_tables: dict[str, PaperTable] = {}
    for folder in reversed(root_chain(root)):
        path = folder / FOLDER / FILE
        if path.exists():
            paper_tables |= read_json(path)
    return paper_tables


def compare_with_paper(
    entry: Published,
    study: Study,
    paper_tables: Mapping[str, PaperTable],
    trials: Sequence[Trial],
    counts: Mapping[tuple[str, str], BuildCounts] = {},
) -> Table:
    """Return a published table, a row for each cell, with our number beside it.

    The notes are those on the table and those on its rows that are shown.

    Args:
        entry: the table, and which of our runs stand beside its cells
        study: the study that says so
        paper_tables: of `read_paper_tables`
        trials: the best of each method on each config
        counts: images and classes by name of the build and config, for a table of sizes; its rows
            are configs, its columns what is counted

    Raises:
        LookupError: no such table, or no such row or column in it
    """
    paper_table = pick(paper_tables, entry.table, "table of published.json")
    dataset = study.build_folder(entry.dataset or study.dataset)
    is_of_results = any("cells" in row for row in paper_table["rows"])
    if is_of_results:
        own_trials = [trial for trial in trials if trial.dataset == dataset]
        paper_rows = _select_rows(entry, paper_table)
        rows = _result_rows(entry, paper_rows, own_trials)
        notes = [note for row in paper_rows.values() for note in row.get("notes", [])]
        caption = _results_caption(entry, paper_table)
    else:
        own_counts = {
            config: count for (build, config), count in counts.items() if build == dataset
        }
        rows = _size_rows(entry, paper_table, own_counts)
        notes = []
        caption = (
            f'The column "Published" comes from {paper_table["source"]}. The column "Ours" has the '
            f"number of images, or of classes, in our build. {LABELS_CAPTION}"
        )
    return Table(
        title=f"Published table {entry.table}: {paper_table['caption']}",
        header=HEADER,
        rows=rows,
        caption=caption,
        notes=[*paper_table.get("notes", []), *notes],
        n_text_columns=2,
    )


def _select_rows(entry: Published, paper_table: PaperTable) -> dict[str, PaperRow]:
    """Return the rows of a published table that a study compares with its runs, by label."""
    rows_by_label = {}
    for row in paper_table["rows"]:
        is_selected = all(row.get(key) == value for key, value in entry.match.items())
        if is_selected and "label" in row:
            rows_by_label[row["label"]] = row
    return {label: pick(rows_by_label, label, f"row of {entry.table}") for label in entry.rows}


def _result_rows(
    entry: Published,
    paper_rows: Mapping[str, PaperRow],
    trials: Sequence[Trial],
) -> list[list[str]]:
    """Return a row for each published accuracy or error."""
    rows = []
    for label, method in entry.rows.items():
        cells = paper_rows[label]["cells"]
        plain_label = re.sub(r"<[^>]*>| \[†\]", "", label)  # without tags and marks of footnotes
        for column, configs in entry.columns.items():
            cell = pick(cells, column, f"column of {entry.table}")
            config_names = [configs] if isinstance(configs, str) else configs
            result = _our_result(entry, method, config_names, trials)
            rows.append([plain_label, column, *_compare(entry, cell, result)])
    return rows


def _results_caption(entry: Published, paper_table: PaperTable) -> str:
    measure = "error" if entry.is_error else "accuracy"
    split = f", on {entry.split}" if entry.split else ""
    return (
        f'The column "Published" comes from {paper_table["source"]}. The column "Ours" has the '
        f"{measure} of our best trial {EPOCHS_OF[entry.metric]}{split}, in percent. "
        f"{LABELS_CAPTION}"
        + (f" {AUTHORS_CAPTION}" if any(AUTHORS in label for label in entry.rows) else "")
    )


def _our_result(
    entry: Published,
    method: str,
    configs: Sequence[str],
    trials: Sequence[Trial],
) -> float | None:
    """Return our mean over configs; None if one of them has not been run."""
    metric = f"{entry.split}_{entry.metric}" if entry.split else entry.metric
    means = {}
    for trial in trials:
        if trial.method == method and trial.config in configs and metric in trial.results:
            means[trial.config] = trial.results[metric].mean
    if not set(configs) <= set(means):
        return None
    mean = mean_interval([means[config] for config in configs]).mean
    return 100 - mean if entry.is_error else mean


def _compare(
    entry: Published,
    cell: Mapping[str, Any],
    result: float | None,
) -> tuple[str, str, str]:
    """Return the published number, ours, and the difference, as text."""
    published = cell["raw"]
    if result is None:
        return published, NOT_RUN, EMPTY
    value = cell.get("value")
    if value is None:
        return published, f"{result:.2f}", EMPTY
    difference = result - entry.factor * value
    return published, f"{result:.2f}", f"{difference:+.2f}".replace("-", "−")


def _size_rows(
    entry: Published,
    paper_table: PaperTable,
    counts: Mapping[str, BuildCounts],
) -> list[list[str]]:
    """Return a row for each published number of images or classes."""
    rows_by_label = {row["Dataset"]: row for row in paper_table["rows"]}
    rows = []
    for label, config in entry.rows.items():
        paper_row = pick(rows_by_label, label, f"row of {entry.table}")
        for column, counted in entry.columns.items():
            published = pick(paper_row, column, f"column of {entry.table}")
            count = None
            if isinstance(counted, str):
                count = counts.get(config, {}).get(counted)
            if count is None:
                rows.append([label, column, published, NOT_BUILT, EMPTY])
                continue
            difference = count - int(published.replace(",", ""))
            difference_text = f"{difference:+,}".replace("-", "−")
            rows.append([label, column, published, f"{count:,}", difference_text])
    return rows
