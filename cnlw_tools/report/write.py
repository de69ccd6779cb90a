"""`cnlw report`: what runs came to, as a page, as tables, as a file of numbers.

DIR/index.html     all of it, in one file that asks nothing of a network
DIR/tables.md      the tables; DIR/tables.tex
DIR/runs.parquet   every number (tables.RUNS)
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnlw_tools import files, runs, tables
from cnlw_tools.build import DRAWN
from cnlw_tools.recipe import split_name
from cnlw_tools.report import figures, page, published, sheets
from cnlw_tools.report.figures import Place
from cnlw_tools.report.known import known
from cnlw_tools.report.sheets import Sheet
from cnlw_tools.report.trials import Trial, best, curves, shown, trials
from cnlw_tools.runs import Run
from cnlw_tools.study import Published

STUDY = "study.json"


@dataclass(frozen=True, slots=True)
class Said:
    """What a sweep wrote of its study; nothing of runs that are of none."""

    name: str = ""
    scale: str = ""
    over: str = "level"
    apart: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    cells: list[dict[str, Any]] = field(default_factory=list)

    def planned(self) -> set[tuple[str, str, str]]:
        """Dataset, config and method of every cell."""
        return {(cell["build"], cell["config"], cell["method"]) for cell in self.cells}

    def place(self, trial: Trial) -> Place | None:
        """Return where a trial stands in the figures; none if it has not the number that they go over.

        Panels are kinds of noise; lines are methods, with what else differs between the configs.
        """
        if self.over == "level":
            return None if trial.level is None else Place(_kind(trial), trial.method, trial.level)
        facts = self._facts(trial.config)
        bare = {k.removeprefix("preset."): v for k, v in trial.options.items()}
        x = {**facts, **bare}.get(self.over)
        if isinstance(x, bool) or not isinstance(x, int | float):
            return None
        others = [self._facts(cell["config"]) for cell in self.cells]
        varied = {k: v for k, v in facts.items() if any(other.get(k) != v for other in others)}
        beside = {k: v for k, v in {**trial.apart, **varied}.items() if k not in (self.over, "noise")}
        return Place(f"{trial.dataset}, {facts['noise']}", f"{trial.name} {shown(beside)}".strip(), float(x))

    def _facts(self, config: str) -> dict[str, Any]:
        """Return what is said of a config: its level, options and choices."""
        cell = next((cell for cell in self.cells if cell["config"] == config), None)
        if cell is None:
            return {"noise": split_name(config)[0]}
        said = {k: v for k, v in cell["recipe"].items() if k in DRAWN and k not in ("dataset", "options")}
        return {"level": split_name(config)[1], **said, **cell["recipe"]["options"]}


def _kind(trial: Trial) -> str:
    return f"{trial.dataset}, {trial.family}"


def write(folder: Path, out: Path, root: Path, rule: str = "last", apart: Sequence[str] = ()) -> list[str]:
    """Write the report of all runs below a folder; return what could not be said, and why.

    Args:
        folder: of runs; what `cnlw sweep` made, or `cnlw train`
        out: the folder to write to
        root: that holds pipelines/, for the published numbers
        rule: last, best or mean10: what the best trial is chosen by
        apart: options that are no trial of a method but a method of their own

    Raises:
        ValueError, LookupError, OSError: a run or the study cannot be read, the report cannot be written
    """
    found = runs.load(folder)
    said = study(folder)
    table = runs.table(found)
    every = trials(table, {*said.apart, *apart, said.over})
    chosen = best(every, rule)
    held, lacking = known(found, chosen)
    ours = [s for metric in sheets.NAMES for s in sheets.results(chosen, metric, said.planned())]
    theirs = [published.beside(entry, published.load(root), chosen) for entry in said.published]
    everything = [*ours, *theirs, *held.detection, sheets.every_trial(every, chosen, rule)]
    path = curves(table)
    drawn = {
        f"Accuracy ({rule}) over {said.over}": figures.over(chosen, rule, said.over, said.place),
        "Belts over levels": figures.belts(chosen, path),
        "Drop after the peak": figures.over(chosen, "drop", said.over, said.place),
        "Training": figures.learning(chosen, path),
    }
    tables.write(table, out / "runs.parquet")
    _text(out / "tables.md", "\n".join(map(sheets.markdown, everything)))
    _text(out / "tables.tex", "\n".join(map(sheets.latex, everything)))
    _text(
        out / "index.html", page.html(_about(found, said), ours, theirs, drawn, held, everything[-1], provenance(found))
    )
    return lacking


def study(folder: Path) -> Said:
    """Read what a sweep wrote of its study, if this is the folder of one.

    Raises:
        ValueError: it cannot be read
    """
    path = folder / STUDY
    if not path.is_file():
        return Said()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        of = raw["study"]
        held = tuple(Published(**entry) for entry in of["published"])
        return Said(raw["name"], raw["scale"], of["over"], tuple(of["apart"]), held, raw["cells"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not what `cnlw sweep` writes ({error!r}): run the sweep again") from error


def provenance(found: Sequence[Run]) -> list[Sheet]:
    """Return what the runs came from: data, versions and commands, each said once; and which have not ended."""
    data = {(r.dataset, r.config["config"], split, digest) for r in found for split, digest in r.config["data"].items()}
    made = Counter((_versions(run), " ".join(run.config["command"])) for run in found)
    open_ = [[run.name, f"{len(run.history)} epochs"] for run in found if run.result is None]
    sheets = [
        Sheet("Data", ["Dataset", "Config", "Split", "Digest"], [list(row) for row in sorted(data)], DIGEST, words=4),
        Sheet(
            "Made by", ["Command", "Versions", "Runs"], [[c, v, str(n)] for (v, c), n in sorted(made.items())], words=2
        ),
    ]
    return [*sheets, *([Sheet("Not ended", ["Run", "Length"], open_)] if open_ else [])]


DIGEST = "sha256 of the images and given labels of a split, whatever their order."


def _versions(run: Run) -> str:
    return " ".join(f"{name} {version}" for name, version in run.config["versions"].items())


def _about(found: Sequence[Run], said: Said) -> str:
    """Say in a sentence what the report is of."""
    ended = sum(run.result is not None for run in found)
    of = f" of the study {said.name}" + (f", scale {said.scale}" if said.scale else "") if said.name else ""
    planned = f" {len(said.cells)} are planned." if said.cells else ""
    return f"{len(found)} runs{of}, {ended} of them to their end.{planned}"


def _text(path: Path, text: str) -> None:
    with files.aside(path) as draft:
        draft.write_text(text, encoding="utf-8")
