"""The results of our own studies, read from benchmarks/studies: trials, comparisons, scales.

A study that was run has a folder there with the `tables.md` of its report. Its section in the
README beside the folder begins with the command, the scale, the seeds and the time.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cnlw_tools.files import default_root
from cnlw_tools.recipe.toml import read_toml
from docs.generate.markdown import read_tables

STUDIES = Path(__file__).parents[2] / "benchmarks" / "studies"
BASELINE = "vanilla"
PUBLISHED_TITLE = "Published table "  # how the title of such a table begins


class Trial(NamedTuple):
    """A method on a config, with the mean over seeds of its validation accuracy, as printed."""

    study: str
    method: str
    variant: str  # what the report calls it, beyond the name of the method
    dataset: str
    config: str
    last: str
    best: str


def methods_by_label(study: str) -> dict[str, list[str]]:
    """Return which methods a study calls by each label, over all of its scales."""
    raw = read_toml(default_root() / "pipelines" / "studies" / f"{study}.toml", "study")
    labels: dict[str, list[str]] = {}
    for scale in [raw, *raw.get("scale", {}).values()]:
        for entry in scale.get("methods", []):
            names = labels.setdefault(entry.get("label", entry["name"]), [])
            if entry["name"] not in names:
                names.append(entry["name"])
    return labels


@cache
def read_trials() -> tuple[Trial, ...]:
    """Return the selected trials of all studies that were run."""
    trials = []
    for path in sorted(STUDIES.glob("*/tables.md")):
        trials += list(_trials_of_study(path.parent.name, path.read_text(encoding="utf-8")))
    return tuple(trials)


def _trials_of_study(study: str, text: str) -> Iterator[Trial]:
    labels = methods_by_label(study)
    _, rows = next(table for table in read_tables(text) if table[0] == "All trials")
    for row in rows:
        label = row["Method"]
        if row.get("Selected", "yes") != "yes":  # older tables have only selected trials
            continue
        name, _, variant = label.partition(" ")
        if label in labels and labels[label] != [label]:
            name, variant = labels[label][0], label
        values = [value for title, value in row.items() if title.startswith(("Last", "Best"))]
        yield Trial(study, name, variant, row["Dataset"], row["Config"], *values)


def find_baseline(trial: Trial) -> Trial | None:
    """Return the trial of plain cross-entropy beside another: of the same study and data."""
    same_data = [
        other
        for other in read_trials()
        if other.method == BASELINE and _data_of(other) == _data_of(trial)
    ]
    same_variant = [other for other in same_data if other.variant == trial.variant]
    beside = same_variant or same_data
    return beside[0] if len(beside) == 1 else None


def _data_of(trial: Trial) -> tuple[str, str, str]:
    return trial.study, trial.dataset, trial.config


@cache
def read_comparisons() -> Mapping[tuple[str, str, str, str], str]:
    """Return our numbers beside published ones: by study, table, row and column of the paper."""
    numbers = {}
    for path in sorted(STUDIES.glob("*/tables.md")):
        for title, rows in read_tables(path.read_text(encoding="utf-8")):
            table = title.partition(":")[0].removeprefix(PUBLISHED_TITLE)
            for row in rows:
                if "Published" in row:
                    key = (path.parent.name, table, row["Row"], row["Column"])
                    numbers[key] = row["Ours"]
    return numbers


def describe_scale(study: str) -> str:
    """Return the command, the scale, the seeds and the time of a study, as its section has them.

    Raises:
        ValueError: benchmarks/studies/README.md says nothing of the study
    """
    text = (STUDIES / "README.md").read_text(encoding="utf-8")
    pattern = rf"^(`cnlw sweep {study}\b[^#]*?\.)\s+See\s+the\s+\[tables\]\({study}/tables\.md\)"
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise ValueError(
            f"benchmarks/studies/README.md: no section on {study}: begin one with "
            f"`cnlw sweep {study}` and the scale, and add: See the [tables]({study}/tables.md)"
        )
    return " ".join(match[1].split())
