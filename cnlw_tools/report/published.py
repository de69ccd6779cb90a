"""Numbers of the papers beside ours. published.json holds the tables, a study says which of its cells stand where.

difference = mean of ours over the configs of a column - published; of errors, ours is 100 - top-1
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnlw_tools.registry import pick
from cnlw_tools.report.statistics import spread
from cnlw_tools.report.tables import NOT_RUN, NOTHING, Sheet
from cnlw_tools.report.trials import Trial
from cnlw_tools.study.spec import FOLDER, Published, Study

FILE = "published.json"
HEAD = ["Row", "Column", "Published", "Ours", "Difference"]
NOT_BUILT = "not built"
Counts = Mapping[str, int]  # of a config: images of each split, and classes


def load(root: Path) -> dict[str, Any]:
    """Return the tables of the papers by name."""
    found: dict[str, Any] = json.loads((root / FOLDER / FILE).read_text(encoding="utf-8"))
    return found


def beside(
    wanted: Published,
    study: Study,
    tables: Mapping[str, Any],
    trials: Sequence[Trial],
    sizes: Mapping[tuple[str, str], Counts] = {},
) -> Sheet:
    """Return a published table, a row a cell, with ours beside it; what its sources disagree on are its notes.

    Args:
        wanted: which table, and what of ours stands where
        study: that says so
        tables: of `load`
        trials: the best of each method on each config
        sizes: by build and config what these hold, for a table of that; its rows are configs, its columns what counts

    Raises:
        LookupError: no such table, row or column in it
    """
    table = pick(tables, wanted.table, "table of published.json")
    lines = [row for row in table["rows"] if all(row.get(k) == v for k, v in wanted.where.items())]
    labels = {row["label"]: row for row in lines if "label" in row}
    dataset = study.build_folder(wanted.dataset or study.dataset)
    if not any("cells" in row for row in table["rows"]):
        return _counted(
            wanted, table, {config: of for (build, config), of in sizes.items() if build == dataset}
        )
    mine = [t for t in trials if t.dataset == dataset]
    rows = []
    for label, method in wanted.rows.items():
        cells = pick(labels, label, f"row of {wanted.table}")["cells"]
        for column, configs in wanted.columns.items():
            cell = pick(cells, column, f"column of {wanted.table}")
            ours = _ours(method, [configs] if isinstance(configs, str) else configs, wanted, mine)
            rows.append(
                [
                    re.sub("<[^>]*>", "", label),
                    column,
                    *_words(cell.get("value"), cell["raw"], ours, wanted.times),
                ]
            )
    return Sheet(
        f"{wanted.table.replace('_', ' ')}: {table['caption']}",
        HEAD,
        rows,
        f"Source: {table['source']}. Ours: {'100 less ' * wanted.error}{wanted.metric} of the best trial"
        + f"{f', on {wanted.split}' if wanted.split else ''}, in percent.",
        list(table.get("notes", [])),
        words=2,
    )


def _counted(wanted: Published, table: Mapping[str, Any], sizes: Mapping[str, Counts]) -> Sheet:
    """Return a published table of sizes beside what is built."""
    labels = {row["Dataset"]: row for row in table["rows"]}
    rows = []
    for label, config in wanted.rows.items():
        for column, of in wanted.columns.items():
            raw = pick(
                pick(labels, label, f"row of {wanted.table}"), column, f"column of {wanted.table}"
            )
            ours = sizes.get(config, {}).get(of) if isinstance(of, str) else None
            said = (
                [NOT_BUILT, NOTHING]
                if ours is None
                else [f"{ours:,}", f"{ours - int(raw.replace(',', '')):+,}"]
            )
            rows.append([label, column, raw, said[0], said[1].replace("-", "−")])
    caption = f"Source: {table['source']}. Ours: images, or classes, as built."
    return Sheet(
        f"{wanted.table.replace('_', ' ')}: {table['caption']}",
        HEAD,
        rows,
        caption,
        table["notes"],
        words=2,
    )


def _ours(
    method: str, configs: Sequence[str], wanted: Published, trials: Sequence[Trial]
) -> float | None:
    """Return the mean over configs; none if one of them has not been run."""
    metric = "_".join(filter(None, [wanted.split, wanted.metric]))
    mine = [t for t in trials if t.method == method and t.config in configs and metric in t.came_to]
    found = {t.config: t.came_to[metric].mean for t in mine}
    if not set(configs) <= set(found):
        return None
    mean = spread([found[c] for c in configs]).mean
    return 100 - mean if wanted.error else mean


def _words(value: float | None, raw: str, ours: float | None, times: float) -> list[str]:
    said = raw if ours is None else f"{ours:.2f}"
    if ours is None:
        return [raw, NOT_RUN, NOTHING]
    if value is None:
        return [raw, said, NOTHING]
    return [raw, said, f"{ours - times * value:+.2f}".replace("-", "−")]
