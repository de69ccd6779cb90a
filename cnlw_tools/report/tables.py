"""Tables of words, and how they are written: Markdown, LaTeX; page.html writes them as HTML."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cnlw_tools.report.statistics import Spread, spread
from cnlw_tools.report.trials import PlannedRun, Trial, natural, shown

NAMES = {"last": "Last epoch", "best": "Best epoch", "mean10": "Mean of the last ten epochs"}
MEANS = "Top-1 on validation in percent: mean ± half the 95 % t-interval over seeds (their number)."
OVER_LEVELS = "Last column: mean ± half the 95 % t-interval over the columns."
NOTHING = "–"
NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table."""

    title: str
    head: list[str]
    rows: list[list[str]]
    caption: str = ""
    notes: list[str] = field(default_factory=list)
    strong: frozenset[tuple[int, int]] = frozenset()  # row and column of the highest
    words: int = 1  # columns, from the left, that hold words


def number(found: Spread | None) -> str:
    """Write a mean, half its interval and how many values it is of."""
    if found is None:
        return NOTHING
    return f"{found.mean:.2f}" + ("" if found.n == 1 else f" ± {found.half:.2f}") + f" ({found.n})"


def results(
    trials: Sequence[Trial], metric: str, planned: Collection[PlannedRun] = ()
) -> list[Sheet]:
    """Return a table for each kind of noise, methods by level; and one a dataset of configs without levels, by method.

    Args:
        trials: the best of each method on each config
        metric: last, best or mean10
        planned: runs that a study asks for; one that has not been made says so
    """
    kinds: dict[tuple[str, str], Kind] = {}
    ran = {PlannedRun(trial.dataset_config, trial.name) for trial in trials}
    for config, _ in sorted({*planned, *ran}, key=_run_key):
        family = "" if config.level is None else config.family
        kind = kinds.setdefault((config.dataset, family), Kind({}, [], []))
        kind.configs[config.name] = config.level
    for (dataset, _), kind in kinds.items():
        kind.trials.extend(t for t in trials if t.dataset == dataset and t.config in kind.configs)
        for config, method in sorted(planned, key=_run_key):
            if config.dataset == dataset and config.name in kind.configs:
                kind.planned.append((config.name, method))
    titles = {key: f"{NAMES[metric]}: {', '.join(filter(None, key))}" for key in kinds}
    return [
        _results(titles[key], kind, metric) if key[1] else _turned(titles[key], kind, metric)
        for key, kind in kinds.items()
    ]


class Kind(NamedTuple):
    """One kind of noise on one dataset."""

    configs: dict[str, int | None]  # name -> level, in the order of columns
    trials: list[Trial]
    planned: list[tuple[str, str]]  # config and method


def _cells(kind: Kind, metric: str) -> dict[str, list[tuple[Spread | None, str]]]:
    """Return by method what it came to on each config, and how that is written."""
    found = {(t.method, t.config): t.came_to[metric] for t in kind.trials}
    names = {t.method: t.name for t in kind.trials}
    names |= {name: name for _, name in kind.planned if name not in names.values()}
    return {
        method: [
            (
                found.get((method, c)),
                _word(found.get((method, c)), (c, names[method]) in kind.planned),
            )
            for c in kind.configs
        ]
        for method in sorted(names, key=natural)
    }


def _results(title: str, kind: Kind, metric: str) -> Sheet:
    cells = _cells(kind, metric)
    numbers = {method: [cell for cell, _ in some] for method, some in cells.items()}
    return Sheet(
        title,
        [
            "Method",
            *(f"{level} %" for level in kind.configs.values()),
            *(["Mean"] if len(kind.configs) > 1 else []),
        ],
        [
            [method, *(word for _, word in some), *_over(numbers[method])]
            for method, some in cells.items()
        ],
        MEANS + (f" {OVER_LEVELS}" if len(kind.configs) > 1 else ""),
        strong=_highest(list(numbers.values())),
    )


def _turned(title: str, kind: Kind, metric: str) -> Sheet:
    """Return a row a config and a column a method, or the other way where there are more methods."""
    cells = _cells(kind, metric)
    marks = _highest([[cell for cell, _ in some] for some in cells.values()])
    if len(cells) > len(kind.configs):
        rows = [[method, *(word for _, word in some)] for method, some in cells.items()]
        return Sheet(title, ["Method", *kind.configs], rows, MEANS, strong=marks)
    rows = [
        [config, *(some[i][1] for some in cells.values())] for i, config in enumerate(kind.configs)
    ]
    strong = frozenset((column - 1, method + 1) for method, column in marks)
    return Sheet(title, ["Config", *cells], rows, MEANS, strong=strong)


def _run_key(run: PlannedRun) -> list[object]:
    """Return what orders runs as people do."""
    return [natural(run.config.dataset), natural(run.config.name), natural(run.method)]


def _over(cells: Sequence[Spread | None]) -> list[str]:
    """Write the mean over configs and half its interval, where there are several and all have been run."""
    means = [cell.mean for cell in cells if cell]
    if len(cells) < 2:
        return []
    if len(means) < len(cells):
        return [NOTHING]
    over = spread(means)
    return [f"{over.mean:.1f} ± {over.half:.1f}"]


def _word(found: Spread | None, planned: bool) -> str:
    return NOT_RUN if found is None and planned else number(found)


def _highest(cells: list[list[Spread | None]]) -> frozenset[tuple[int, int]]:
    """Return where the highest means of each column stand, all of them; the first column holds the methods."""
    marks = set()
    for j, column in enumerate(zip(*cells, strict=True) if len(cells) > 1 else ()):
        means = [cell.mean if cell else -math.inf for cell in column]
        marks |= {(i, j + 1) for i, mean in enumerate(means) if mean == max(means) > -math.inf}
    return frozenset(marks)


def every_trial(trials: Sequence[Trial], chosen: Sequence[Trial], rule: str) -> Sheet:
    """Return all trials with their options; the chosen ones are strong."""
    rows = [
        [
            t.dataset,
            t.config,
            t.method,
            shown(t.options) or NOTHING,
            *(number(t.came_to.get(m)) for m in (*NAMES, "drop")),
            f"{t.came_to[rule].sd:.2f}" if rule in t.came_to and t.came_to[rule].n > 1 else NOTHING,
        ]
        for t in trials
    ]
    picked = {id(t) for t in chosen}
    return Sheet(
        "All trials",
        [
            "Dataset",
            "Config",
            "Method",
            "Options",
            "Last",
            "Best",
            "Mean of ten",
            "Drop",
            "Deviation",
        ],
        rows,
        f'The strong one of a method and config has the highest mean of "{rule}" on validation over its seeds; of '
        f'equals the first here. Drop: best less last. Deviation: the standard deviation of "{rule}" over seeds.',
        strong=frozenset((i, 2) for i, t in enumerate(trials) if id(t) in picked),
        words=4,
    )


def markdown(sheet: Sheet) -> str:
    """Write a table as Markdown."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in sheet.rows]
    for i, j in sheet.strong:
        cells[i][j] = f"**{cells[i][j]}**"
    lines = [f"## {sheet.title}", "", *([sheet.caption, ""] if sheet.caption else [])]
    lines += [f"| {' | '.join(row)} |" for row in (sheet.head, ["---"] * len(sheet.head), *cells)]
    lines += ["", *(f"{i}. {note}" for i, note in enumerate(sheet.notes, 1))]
    return "\n".join(lines).rstrip() + "\n"


def latex(sheet: Sheet) -> str:
    """Write a table as LaTeX; it wants no package."""
    cells = [[_escaped(cell) for cell in row] for row in sheet.rows]
    for i, j in sheet.strong:
        cells[i][j] = f"\\textbf{{{cells[i][j]}}}"
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_escaped(f'{sheet.title}. {sheet.caption}'.strip())}}}",
    ]
    lines += [
        f"\\begin{{tabular}}{{{'l' * sheet.words + 'r' * (len(sheet.head) - sheet.words)}}}",
        "\\hline",
    ]
    lines += [" & ".join(map(_escaped, sheet.head)) + " \\\\", "\\hline"]
    lines += [" & ".join(row) + " \\\\" for row in cells]
    lines += [
        "\\hline",
        "\\end{tabular}",
        *(f"\\par {_escaped(note)}" for note in sheet.notes),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


SIGNS: dict[str, str] = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "–": "--",
    "−": "$-$",
    "α": "$\\alpha$",
    "<": "$<$",
    ">": "$>$",
}


def _escaped(text: str) -> str:
    swap: Callable[[re.Match[str]], str] = lambda found: SIGNS[found[0]]  # noqa: E731
    return re.sub("|".join(map(re.escape, SIGNS)), swap, text)
