"""The numbers on the page of a method: those of our own studies, and published ones."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cnlw_tools.files import default_root
from cnlw_tools.files.roots import find_toml_files
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry.counts import join_words
from cnlw_tools.reports.published import read_paper_tables
from docs.generate.config_names import explain_config_names
from docs.generate.markdown import code, escape, heading, link, table
from docs.generate.study_results import (
    BASELINE,
    Trial,
    describe_scale,
    find_baseline,
    methods_by_label,
    read_comparisons,
    read_trials,
)

STUDIES = "../../studies/index.md"  # from the page of a method
NOT_RUN = "not run"
EPOCHS: Mapping[str, str] = {  # by the result of a run
    "last": "last epoch",
    "best": "best epoch",
    "mean10": "mean of the last ten epochs",
}
EQUAL_NOISES = (
    " `symmetric` noise with its default options is the same as `blue` noise, so two studies are "
    "compared with the same published numbers."
)
PUBLISHED_HEADER = ["study", "published table: row", "column", "our data", "published"]
SPREAD = "The ± is "  # how a note of published.json begins that says what it measures
QUOTED = "For numbers from other papers, "  # how a note begins on what it measures there
STAR = "A star marks "  # how a note of published.json begins that says what it marks
UNKNOWN_STAR = "The paper does not say what the star marks."
DASHES = ("-", "—")
DASH = "A dash means "  # how a note of published.json begins that says what it means
UNKNOWN_DASH = "A dash means that the table has no number."
COLUMNS = ("A column ", "The columns ")  # how a note begins that explains the names of columns
VALUE = "The value of "  # how one begins that says where else a paper gives another value
TAG_OR_FOOTNOTE = r"<[^>]*>| \[†\]"  # in the labels of the rows of a paper
REPOSITORY = re.compile(r"([\w-]+/[\w.-]+) on GitHub")
OURS = re.compile(r"^Ours\b")  # what authors call their own method
NUMBER = re.compile(r"\d+(\.\d+)?")
ARXIV = re.compile(r", arXiv:[\d.]+\d")
SIC = ("Aym.", "Aym. (sic)")  # as the README of INCV spells it
METRICS: Mapping[str, str] = {  # by the metric or the caption of a table of published.json
    "top-1 accuracy %": "top-1 accuracies in percent",
    "peak top-1 accuracy %, averaged over 10 noise levels": "the highest top-1 accuracies during "
    "training, in percent, averaged over ten noise levels",
    "validation error %": "validation errors in percent",
    "top1/top5 on ImageNet val": "top-1 and top-5 accuracies on the validation set of ImageNet, in "
    "percent, after training on the first 50 classes of WebVision (`mini`) or on all its classes "
    "(`full`)",
    "WebVision 1.0, top-1 accuracy in percent, with top-5 accuracy in parentheses": (
        "top-1 accuracies in percent, with top-5 accuracies in parentheses, on the validation set "
        "that the column names (ILSVRC12: that of ImageNet)"
    ),
    "accuracies of a re-implementation of MentorNet, from 0 to 1": "accuracies from 0 to 1",
    "a re-implementation of MentorMix with ResNet-32": "accuracies from 0 to 1",
    "error rates in percent": "error rates in percent",
}


class PublishedCell(NamedTuple):
    """A number of a paper beside which a study puts a run of ours."""

    table: str
    row: str
    column: str
    dataset: str
    configs: str
    value: str  # as printed
    study: str
    metric: str  # of our run: last, best or mean10


def own_numbers(name: str, single_runs: str = "") -> str:
    """Return our results with a method: those of single runs, then those of studies, one by one.

    Args:
        name: the method
        single_runs: paragraphs on single runs, and on the settings of studies
    """
    trials = [trial for trial in read_trials() if trial.method == name]
    if not trials:
        ending = "so there are no tables" if single_runs else "so we have no numbers of our own"
        return (
            f"{single_runs}None of our runs of [studies]({STUDIES}) uses `{name}`, {ending}."
            f"{_explain_omissions(name)}\n\n"
        )
    studies = list(dict.fromkeys(trial.study for trial in trials))
    shown = "The tables show" if len(studies) > 1 else "The table shows"
    text = (
        f"{single_runs}{shown} accuracies, in percent, on the validation set. They are from our "
        f"[studies]({STUDIES}). {_explain_seeds(trials)} The column *our data* names the dataset and "
        "the [config](../../glossary.md), that is, the noise and its level. "
    )
    if any(trial.variant for trial in trials):
        text += "The column *variant* names the settings of method and training in which runs on the same data differ. "
    if any(find_baseline(trial) for trial in trials if name != BASELINE):
        text += (
            "The last column has the accuracy of [`vanilla`](vanilla.md) on the same data after the "
            "last epoch. "
        )
    text += "The best epoch of a run is the one with the highest accuracy.\n\n"
    explained = ""
    for study in studies:
        rows = [_trial_cells(trial) for trial in trials if trial.study == study]
        text += heading(study, 3) + f"{_sentences_on(name, describe_scale(study))} "
        text += f"See the [tables](../../studies/tables/{study}.md) of this study.\n\n"
        configs = " ".join(trial.config for trial in trials if trial.study == study)
        names = explain_config_names(configs, explained)
        text += f"{names}\n\n" if names else ""
        explained += f" {configs}"
        text += table(["our data", "variant", "last epoch", "best epoch", "vanilla, last"], rows)
    return text


def _explain_omissions(name: str) -> str:
    """Return which studies have a method only at a scale at which we did not run them."""
    names = [
        code(study)
        for study in dict.fromkeys(trial.study for trial in read_trials())
        if any(name in methods for methods in methods_by_label(study).values())
    ]
    if not names:
        return ""
    which = "the study" if len(names) == 1 else "the studies"
    scale = "its small scale, which omits" if len(names) == 1 else "their small scales, which omit"
    return f" We ran {which} {join_words(names)} only at {scale} this method."


def _explain_seeds(trials: Sequence[Trial]) -> str:
    """Return what the signs after an accuracy mean."""
    if not any("±" in trial.last for trial in trials):
        return "Each accuracy is from one seed, as the number in parentheses says."
    words = "Each accuracy is the mean over seeds, and the number of seeds is in parentheses."
    if any("±" not in trial.last for trial in trials):
        words += " If there are several seeds, the"
    else:
        words += " The"
    return f"{words} number after ± is the half-width of the 95 % t-interval of the mean."


def _sentences_on(name: str, text: str) -> str:
    """Return the sentences before the first on times, without those on runs of other methods."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", text)
    shown = itertools.takewhile(lambda sentence: " took " not in sentence, sentences)
    own = f"Runs of `{name}`"
    return " ".join(words for words in shown if words.startswith(own) or "Runs of `" not in words)


def _trial_cells(trial: Trial) -> list[str]:
    """Return the row of a trial, with that of plain cross-entropy beside it."""
    baseline = find_baseline(trial) if trial.method != BASELINE else None
    return [
        f"{trial.dataset}: {code(trial.config)}",
        escape(trial.variant),
        trial.last,
        trial.best,
        baseline.last if baseline else "",
    ]


def published_numbers(name: str) -> str:
    """Return the numbers of papers that studies compare with runs of this method."""
    cells = [cell for method, cell in _published_cells() if method == name]
    if not cells:
        return "No study compares this method with a published number.\n\n"
    ours = {cell.study for cell in cells if _our_number(cell) != NOT_RUN}
    compared = [cell for cell in cells if cell.study in ours]
    others = [cell for cell in cells if cell.study not in ours]
    text = (
        "[Studies](../study_keys.md) of this package can compare runs of the method with published "
        "numbers. Each comparison below names a study, the row and the column of a published table, "
        "and the data on which the study runs the method. "
    )
    text += _explain_columns(cell.column for cell in cells)
    own_configs = " ".join(trial.config for trial in read_trials() if trial.method == name)
    text += explain_config_names(" ".join(cell.configs for cell in cells), own_configs)
    text = text.rstrip() + _explain_equal_noises(cells) + "\n\n"
    text += f"Published tables:\n\n{_list_tables(cells)}\n"
    text += _explain_ours(cells)
    if compared:
        text += "We have run the studies in the following table"
        if any("--scale paper" not in describe_scale(study) for study in ours):
            text += (
                ", but only at a small scale (see [Our own numbers](#our-own-numbers)). **Our "
                "numbers cannot be compared with the published ones**, because they were "
                "obtained with fewer images, a smaller network and fewer epochs. Our numbers show "
                "only how the methods compare with each other"
            )
        text += (
            ". In the column *ours*, the words in parentheses say which epoch a number is from.\n\n"
        )
        rows = [[*_published_row(cell), _our_number(cell)] for cell in compared]
        text += table([*PUBLISHED_HEADER, "ours"], rows)
    if others:
        word = "other" if compared else "following"
        text += (
            f"We have not made the {word} comparisons, which need runs at the scale of the papers. To run the "
            "study of a comparison, use `cnlw sweep STUDY --scale paper`. Then `cnlw report` shows the "
            "results beside the published numbers.\n\n"
        )
        text += table(PUBLISHED_HEADER, map(_published_row, others))
    return text


def _explain_ours(cells: Iterable[PublishedCell]) -> str:
    """Return what *Ours* means in the names of rows or columns; empty if no name has it."""
    places = {
        "row": [_plain_label(cell.row) for cell in cells],
        "column": [_plain_label(cell.column) for cell in cells],
    }
    found = [place for place, names in places.items() if any(map(OURS.search, names))]
    if not found:
        return ""
    return (
        f"In the name of a {' or '.join(found)}, *Ours* means the method that the paper "
        "introduced.\n\n"
    )


def _explain_equal_noises(cells: Sequence[PublishedCell]) -> str:
    """Return why published numbers stand beside two noises; empty if none does."""
    numbers = {}
    for noise in ("symmetric", "blue"):
        pattern = re.compile(rf"{noise}_\d+(_clean\d+)?")
        numbers[noise] = {
            (cell.table, cell.row, cell.column) for cell in cells if pattern.fullmatch(cell.configs)
        }
    return EQUAL_NOISES if numbers["symmetric"] & numbers["blue"] else ""


def _explain_columns(columns: Iterable[str]) -> str:
    """Return what a column means whose name is a number; empty if there is none."""
    numbers = [column for column in columns if NUMBER.fullmatch(column)]
    forms = []
    if any(float(number) > 1 for number in numbers):
        forms.append("in percent (`40`)")
    if any(0 < float(number) < 1 for number in numbers):
        forms.append("as a share (`0.4`)")
    if not forms:
        return ""
    return f"If the name of a column is a number, that number is the level of noise, {' or '.join(forms)}. "


def _list_tables(cells: Iterable[PublishedCell]) -> str:
    """Return a list of tables: what the numbers are, their source, what columns and signs mean.

    What a ± means in several tables stands once, after the list.
    """
    all_tables = read_paper_tables(default_root())
    with_star = {cell.table for cell in cells if _has_star(cell)}
    with_dash = {cell.table for cell in cells if _plain_number(cell.value) in DASHES}
    spreads = _spread_notes(cells, all_tables)
    names: dict[str, list[str]] = {}  # by what is said of a table
    tables_by_spread: dict[str, list[str]] = {}  # only where several tables have the same note
    for name in dict.fromkeys(cell.table for cell in cells):
        paper_table = all_tables[name]
        shown_name = f"*{escape(name.replace('_', ' '))}*"
        metric = METRICS.get(paper_table.get("metric", ""), "accuracies in percent")
        metric = METRICS.get(paper_table.get("caption", ""), metric)
        words = f"{metric}, from {_link_source(paper_table['source'])}."
        words += _note_on_columns(
            paper_table, {cell.column for cell in cells if cell.table == name}
        )
        for cell in [cell for cell in cells if cell.table == name]:
            words += _note_on_value(paper_table, cell)
        spread = spreads.get(name, "")
        if list(spreads.values()).count(spread) > 1:
            tables_by_spread.setdefault(spread, []).append(shown_name)
        elif spread:
            words += f" {spread}"
        if name in with_star:
            words += _note(paper_table, STAR, UNKNOWN_STAR)
        if name in with_dash:
            words += _note(paper_table, DASH, UNKNOWN_DASH)
        names.setdefault(words, []).append(shown_name)
    text = "".join(f"- {_join(shown)}: {words}\n" for words, shown in names.items())
    return _name_arxiv_once(text) + "".join(
        f"\nIn {_join(shown)}, {note[:1].lower()}{note[1:]}\n"
        for note, shown in tables_by_spread.items()
    )


def _spread_notes(cells: Iterable[PublishedCell], all_tables: Mapping[str, Any]) -> dict[str, str]:
    """Return what the ± means in each table that has one, by the name of the table.

    The note on numbers that a paper took from other papers is left out if no cell may be one.
    """
    with_spread = [cell for cell in cells if "±" in _plain_number(cell.value)]
    may_be_quoted = {cell.table for cell in with_spread if not _is_own(cell)}
    notes = {}
    for name in sorted({cell.table for cell in with_spread}):
        note = _note(all_tables[name], SPREAD)
        if name in may_be_quoted:
            note += _note(all_tables[name], QUOTED)
        notes[name] = note.strip()
    return notes


def _is_own(cell: PublishedCell) -> bool:
    """Return whether a number is of the method that the paper introduced."""
    return any(OURS.search(_plain_label(label)) for label in (cell.row, cell.column))


def _name_arxiv_once(text: str) -> str:
    """Return a text in which each number of arXiv stands only where it comes first."""
    found: set[str] = set()

    def keep_first(match: re.Match[str]) -> str:
        number = match[0]
        is_first = number not in found
        found.add(number)
        return number if is_first else ""

    return ARXIV.sub(keep_first, text)


def _has_star(cell: PublishedCell) -> bool:
    """Return whether a star marks a number, its row or its column; the Q* of a row is a matrix."""
    return "*" in f"{cell.row} {cell.column} {cell.value}".replace("Q*", "Q")


def _note_on_columns(paper_table: Mapping[str, Any], columns: Set[str]) -> str:
    """Return the note on the names of columns, unless it is on a column that is not shown."""
    note = _note(paper_table, COLUMNS)
    column = re.search(r"A column called (.+) has ", note)
    return "" if column and column[1] not in columns else note


def _note(
    paper_table: Mapping[str, Any], beginning: str | tuple[str, ...], default: str = ""
) -> str:
    """Return a space and the first note of a table that begins like this, or the default."""
    notes = [note for note in paper_table.get("notes", []) if note.startswith(beginning)]
    note = notes[0] if notes else default
    return f" {escape(note)}" if note else ""


def _note_on_value(paper_table: Mapping[str, Any], cell: PublishedCell) -> str:
    """Return a space and the note of a table that has the value of a cell, with its spread, if any."""
    value = _plain_number(cell.value)
    notes = [note for note in paper_table.get("notes", []) if note.startswith(VALUE)]
    return "".join(f" {escape(note)}" for note in notes if "±" in value and value in note)


def _join(names: Sequence[str]) -> str:
    return join_words(names, max_words=len(names))


def _link_source(source: str) -> str:
    """Return the source of a table, in which a repository is a link."""
    match = REPOSITORY.search(source)
    if not match:
        return escape(source)
    repository = link(escape(match[1]), f"https://github.com/{match[1]}")
    return escape(source[: match.start()]) + repository + escape(source[match.end() :])


def _published_row(cell: PublishedCell) -> list[str]:
    """Return the row of a number of a paper."""
    return [
        code(cell.study),
        escape(f"{cell.table.replace('_', ' ')}: {_plain_label(cell.row)}"),
        escape(cell.column.replace(*SIC)),
        f"{cell.dataset}: {escape(cell.configs)}",
        escape(_plain_number(cell.value)),
    ]


def _plain_label(label: str) -> str:
    """Return the label of a row of a paper without tags and footnotes, and links as their words."""
    without_tags = re.sub(TAG_OR_FOOTNOTE, "", label)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", without_tags)


def _plain_number(text: str) -> str:
    """Return a number of a paper as plain text, without the TeX of some papers."""
    plain = re.sub(r"\\textbf\{([^}]*)\}", r"\1", text.strip("$"))
    plain = re.sub(r"\{?\\pm\}?", "±", plain)
    plain = re.sub(r"(?<=\d) ?[±+] ?(?=\d)", " ± ", plain)  # text recognition read some ± as +
    plain = plain.replace("^*", "*")
    return re.sub(r"(?<=\d)\(", " (", plain)


def _our_number(cell: PublishedCell) -> str:
    """Return our number beside a published one, with its epoch, or that there is none."""
    label = re.sub(TAG_OR_FOOTNOTE, "", cell.row)
    number = read_comparisons().get((cell.study, cell.table, label, cell.column))
    return NOT_RUN if number is None else f"{number} ({EPOCHS[cell.metric]})"


@cache
def _published_cells() -> tuple[tuple[str, PublishedCell], ...]:
    """Return all numbers that studies compare with, each with the method of ours."""
    cells = []
    for study, path in find_toml_files(default_root(), Path("pipelines/studies")).items():
        raw = read_toml(path, "study")
        methods = methods_by_label(study)
        for scale in [raw, *raw.get("scale", {}).values()]:
            dataset = scale.get("dataset", raw.get("dataset", ""))
            for entry in scale.get("published", []):
                cells += list(_cells_of_entry(study, dataset, entry, methods))
    return tuple(cells)


def _cells_of_entry(
    study: str, dataset: str, entry: Mapping[str, Any], methods: Mapping[str, list[str]]
) -> Iterator[tuple[str, PublishedCell]]:
    """Yield the numbers of one `[[published]]` of a study, each with the method of ours."""
    paper_table = read_paper_tables(default_root())[entry["table"]]
    match = entry.get("match", {})
    rows = {}
    for row in paper_table["rows"]:
        if "label" in row and all(row.get(key) == value for key, value in match.items()):
            rows[row["label"]] = row["cells"]
    own_dataset = entry.get("dataset", dataset)
    for label, own_label in entry["rows"].items():
        for column, configs in entry["columns"].items():
            cell = rows.get(label, {}).get(column)
            if cell is None:
                continue
            words = configs if isinstance(configs, str) else _abbreviate(configs)
            for method in methods.get(own_label, []):
                yield (
                    method,
                    PublishedCell(
                        entry["table"],
                        label,
                        column,
                        own_dataset,
                        words,
                        cell["raw"],
                        study,
                        entry.get("metric", "last"),
                    ),
                )


def _abbreviate(names: list[str]) -> str:
    if len(names) < 3:
        return ", ".join(names)
    return f"{names[0]} ... {names[-1]}, the mean of {len(names)} configs"
