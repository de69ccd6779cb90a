"""`cnlw report`: what runs came to, as a page, as tables, as a file of numbers.

DIR/index.html     all of it, in one file that asks nothing of a network
DIR/tables.md      the tables; DIR/tables.tex
DIR/figures/       the panels of the figures, a file each, for a paper
DIR/runs.parquet   every number (tables.RUNS)
"""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cnlw_tools import files
from cnlw_tools.dataset import tables
from cnlw_tools.report import build_figures, figures, page, published, runs
from cnlw_tools.report import tables as sheets
from cnlw_tools.report.context import Drawn, Seen
from cnlw_tools.report.diagnostics import known, truths
from cnlw_tools.report.runs import Run
from cnlw_tools.report.study_file import Said, study
from cnlw_tools.report.tables import Sheet
from cnlw_tools.report.trials import best, curves, natural, trials


def write(
    folder: Path, out: Path, root: Path, rule: str = "", apart: Sequence[str] = ()
) -> list[str]:
    """Write the report of all runs below a folder; return what could not be said, and why.

    Args:
        folder: of runs; what `cnlw sweep` made, or `cnlw train`
        out: the folder to write to
        root: that holds pipelines/, for the published numbers
        rule: last, best or mean10: what the best trial is chosen by; none: what the study says
        apart: options that are no trial of a method but a method of their own

    Raises:
        ValueError, LookupError, OSError: a run or the study cannot be read, the report cannot be written
    """
    said = study(folder)
    of = said.study
    rule = rule or of.rule
    found = [] if said.cells and not said.planned() else runs.load(folder)
    table = runs.table(found, said.labels())
    every = trials(table, {*of.apart, *apart, of.over, of.across}, {*said.labels().values()})
    chosen = best(every, rule)
    places = [(run.build, run.config.config) for run in found]
    asked = said.places() if {*figures.BUILDS} & {*of.figures} else []
    there, lacking = truths([*places, *asked])
    seen = Seen(said, {run.name: run for run in found}, chosen, curves(table), rule, there)
    held, more = known(seen)
    ours = [s for metric in sheets.NAMES for s in sheets.results(chosen, metric, said.planned())]
    papers, counted = published.load(root), build_figures.counted(seen)
    theirs = [published.beside(entry, of, papers, chosen, counted) for entry in of.published]
    drawn = {name: figures.draw(name, seen) for name in of.figures}
    trial = sheets.every_trial(every, chosen, rule)
    everything = [
        *ours,
        *theirs,
        *(t for one in drawn.values() for t in one.tables),
        *held.detection,
    ]
    everything += [*([trial] if found else []), *_noted(of.notes)]
    tables.write_parquet(table, out / "runs.parquet")
    _text(out / "tables.md", "\n".join(map(sheets.markdown, everything)))
    _text(out / "tables.tex", "\n".join(map(sheets.latex, everything)))
    for name, one in drawn.items():
        _pictures(out / "figures", name, one)
    about = " ".join(filter(None, [_about(found, said), said.lacking(chosen)]))
    made = page.html(
        said.title, about, of.notes, ours, theirs, drawn, held, trial, provenance(found)
    )
    _text(out / "index.html", made)
    return [*lacking, *more]


def _pictures(folder: Path, name: str, drawn: Drawn) -> None:
    """Write the panels of a figure, a file each."""
    for picture in drawn.pictures:
        _text(folder / f"{name}_{_slug(picture.title)}.svg", picture.svg)
    for title, image in drawn.images:
        with files.atomic_write(folder / f"{name}_{_slug(title)}.png") as draft:
            image.save(draft, "PNG", optimize=True)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


def _noted(notes: Sequence[str]) -> list[Sheet]:
    """Return the footnotes of a study as a table, for files that hold tables alone."""
    return (
        [Sheet("Notes", ["", "Note"], [[str(i), note] for i, note in enumerate(notes, 1)], words=2)]
        if notes
        else []
    )


def provenance(found: Sequence[Run]) -> list[Sheet]:
    """Return what the runs came from: data, versions and commands, each said once; and which have not ended."""
    data: dict[tuple[str, str, str], set[str]] = {}
    for run in found:
        for split, digest in run.config.data.items():
            data.setdefault((run.dataset, split, digest), set()).add(run.config.config)
    rows = [
        [of, ", ".join(sorted(some, key=natural)), split, digest]
        for (of, split, digest), some in data.items()
    ]
    rows.sort(key=lambda row: (row[2], row[0], natural(row[1])))
    made = Counter((_versions(run), _command(run)) for run in found)
    open_ = [[run.name, f"{len(run.history)} epochs"] for run in found if run.result is None]
    sheets = [
        Sheet("Data", ["Dataset", "Configs", "Split", "Digest"], rows, DIGEST, words=4),
        Sheet(
            "Made by",
            ["Command", "Versions", "Runs"],
            [[c, v, str(n)] for (v, c), n in sorted(made.items())],
            words=2,
        ),
    ]
    return [*sheets, *([Sheet("Not ended", ["Run", "Length"], open_)] if open_ else [])]


DIGEST = "sha256 of the images and given labels of a split, whatever their order."


def _command(run: Run) -> str:
    """Return the command line, the program by its name."""
    program, *rest = run.config.command
    name = Path(program).name
    return shlex.join(["cnlw" if name == "__main__.py" else name, *rest])


def _versions(run: Run) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.config.versions.items())


def _about(found: Sequence[Run], said: Said) -> str:
    """Say in a sentence what the report is of."""
    ended = sum(run.result is not None for run in found)
    of = f" of the study {said.title}" if said.name else ""
    planned = f" {len(said.cells)} are planned." if said.cells else ""
    if said.cells and not said.planned():
        return f"{len(said.cells)} configs{of}: nothing is trained on them."
    return f"{len(found)} runs{of}, {ended} of them to their end.{planned}"


def _text(path: Path, text: str) -> None:
    with files.atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")
