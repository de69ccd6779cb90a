"""A page for every method: formula, paper, needs, options, cost, presets, published numbers."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cnlw_tools.cli.definitions import MethodInfo, describe_method
from cnlw_tools.cli.list import format_default
from cnlw_tools.files import default_root
from cnlw_tools.files.roots import find_toml_files
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.reports.published import read_paper_tables
from docs.generate.markdown import (
    code,
    docstring_to_markdown,
    escape,
    fence,
    heading,
    link,
    option,
    read_tables,
    table,
)
from docs.generate.source_code import (
    base_classes,
    class_docstring,
    module_docstring,
    read_arguments,
)
from docs.generate.study_results import (
    BASELINE,
    Trial,
    describe_scale,
    find_baseline,
    methods_by_label,
    read_comparisons,
    read_trials,
)

FOLDER = "reference/methods"
PARTS = f"{FOLDER}/what_methods_share.md"
COMPONENTS = "cnlw_tools.methods.components"
ROOT = Path(__file__).parents[2]
NOT_RUN = "not run"
STUDIES = "../../studies/index.md"  # from the page of a method
REPOSITORY = re.compile(r"([\w-]+/[\w.-]+) on GitHub")
SIC = ("Aym.", "Aym. (sic)")  # as the README of INCV spells it
METRICS: Mapping[str, str] = {  # by the metric or the caption of a table of published.json
    "top-1 accuracy %": "They are top-1 accuracies in percent.",
    "peak top-1 accuracy %, averaged over 10 noise levels": "They are the highest top-1 "
    "accuracies during training, in percent, averaged over ten noise levels.",
    "validation error %": "They are validation errors in percent.",
    "top1/top5 on ImageNet val": "They are top-1 and top-5 accuracies on the validation set of "
    "ImageNet, in percent.",
    "WebVision 1.0, top-1 accuracy in percent, with top-5 accuracy in parentheses": (
        "They are top-1 accuracies in percent, with top-5 accuracies in parentheses."
    ),
    "accuracies of a re-implementation of MentorNet, from 0 to 1": (
        "They are accuracies from 0 to 1."
    ),
    "a re-implementation of MentorMix with ResNet-32": "They are accuracies from 0 to 1.",
    "error rates in percent": "They are error rates in percent.",
}
NEEDS: Mapping[str, str] = {
    "probe": "The method needs a **probe**: a few trusted images of each class, with true labels. "
    "`cnlw build --probe 10` sets aside ten images of each class, and adds `_probe10` to the names "
    "of the configs.",
    "verified": "The method needs **verified labels**, and is told which of them are correct. "
    "`cnlw build --verified 20` sets aside twenty images of each class, and adds `_verified20` to "
    "the names of the configs.",
    "holdout": "The method needs a **holdout**, which is a share of the noisy training set on which "
    "the network is not trained. By default, a tenth is set aside; `-o holdout=0.2` sets aside a "
    "fifth. The section *Formula* says what the holdout is used for.",
    "noise_rate": "The method needs the **noise rate**, which is the share of wrong labels. You "
    "have to know this rate or estimate it. For example, `-o noise_rate=0.4` states that 40 % of "
    "the labels are wrong.",
}
UNIT = (
    "Each number is the cost of this method divided by that of [`vanilla`](vanilla.md), which is "
    "ordinary training on the given labels."
)
OWN_UNIT = "The costs of all methods are divided by those of `vanilla`, so all numbers here are 1."
COST = (
    "In a network pass, one batch goes through the network, forward or backward; a backward pass "
    "counts as two forward passes. A step of `vanilla` consists of one forward and one backward "
    "pass. Some methods also make passes between steps, for example over the whole training set once "
    "per round. Divided by the number of steps, these passes are added to the cost of a step.\n\n"
)
MEASURED = (
    "Times and memory were measured with a small network on a CPU. The additional memory is the "
    "peak memory of training minus the peak memory of a process that holds the same data and trains "
    "`vanilla` on two images at a time. For `vanilla`, the additional memory is only about 50 MiB, "
    "so ratios between 1/2 and 2 may be due to chance. [Benchmarks](../../project/benchmarks.md) "
    "describes the measurement.\n\n"
)
WORDS = (
    "Symbols and words that are not explained here are in [Notation](index.md#notation) and in the "
    "[glossary](../../glossary.md).\n\n"
)
TAG_OR_FOOTNOTE = r"<[^>]*>| \[†\]"  # in the labels of the rows of a paper
NOTATION = """| symbol | meaning |
| --- | --- |
| `b`, `B` | an example of the batch, and the number of examples in the batch |
| `i`, `j`, `k`, `c`; `K` | classes, and the number of classes; on some pages, `i` and `j` are examples |
| `x_b` | the image of example b |
| `y_b`, `Y_b` | the given label as a number, and as a vector with a single 1 |
| `z_b`, `f(x_b)` | the K logits of the network |
| `p_b` | `softmax(z_b)` |
| `CE(t, z)` | cross-entropy of the target t, `-sum_k t_k log softmax(z)_k` |
| `l_b`, `L` | the loss of one example, and that of the batch |
| `mean_b`, `sum_b` | the mean and the sum over the batch; likewise for other indices |
| `<a, b>`, `grad` | the inner product of two vectors; the gradient with respect to the weights of the network |
| `x^t` | the transpose of a matrix or vector |
| `a <- b` | a gets the value b |
| `T[i, j]` | the probability of the given label j if the true class is i; `Q` is the transpose |
| `Theta`, `eta` | the weights of the network; a learning rate |
| `H(p)` | the entropy of p, `-sum_k p_k log p_k` |
| `1[...]` | 1 if the condition holds, otherwise 0 |
| `x^`, `x~` | an estimate or a second version of x; a blend of several x |

These words occur on many pages:

| word | meaning |
| --- | --- |
| `shapes` | a dataset of drawn images that comes with the package |
| blue 40 | blue noise at a level of 40 %: this share of the labels changes to another class, drawn uniformly |
| rank | one of the processes that train together, each on its own GPU |
| running averages | the means and variances that batch normalisation uses for predictions |
| logged weight, logged loss | the weight and the loss that the run folder records for each example in each epoch |
| view | one augmented version of an image in a training step |
"""


class PublishedCell(NamedTuple):
    """A number of a paper beside which a study puts a run of ours."""

    table: str
    row: str
    column: str
    dataset: str
    configs: str
    value: str  # as printed
    study: str


def make_pages() -> dict[str, str]:
    """Return the page of each method, the list of methods, and the page of what they share."""
    pages = {f"{FOLDER}/index.md": _index_page(), PARTS: _components_page()}
    for name in METHODS:
        pages[f"{FOLDER}/{name}.md"] = _method_page(name)
    return pages


def _index_page() -> str:
    text = heading("Methods")
    text += (
        "`cnlw train --method NAME` trains a method, and `-o option=value` sets its options. The "
        "column `cost` compares a training step of the method with one of `vanilla`, counted in "
        "network passes: `vanilla` makes one forward and one backward pass, which is a cost of "
        "1. The column `needs` names what a method needs besides images and given labels, and the "
        "page of the method says how to get it.\n\n"
    )
    rows = []
    for name in METHODS:
        info = describe_method(METHODS.target(name))
        needs = ", ".join(name.replace("_", " ") for name in info.requires)
        rows.append(
            [
                link(code(name), f"{name}.md"),
                escape(_lower_first(info.summary).removesuffix(".")),
                escape(info.paper),
                needs,
                f"{info.relative_cost:g}",
            ]
        )
    text += table(["name", "what it does", "paper", "needs", "cost"], rows)
    text += heading("Notation", 2) + NOTATION + "\n"
    return (
        text
        + f"[What methods share]({Path(PARTS).name}) has the formulas that several methods use.\n"
    )


def _method_page(name: str) -> str:
    target = METHODS.target(name)
    module = _module(name)
    info = describe_method(target)
    title, _, rest = module_docstring(module).partition("\n")
    shares_module = len([1 for other in METHODS if _module(other) == module]) > 1
    text = heading(f"Method: {name}")
    if shares_module:
        text += f"The method `{name}` {escape(_lower_first(info.summary))}\n\n"
    else:
        text += f"{escape(title)}\n\n"
    text += WORDS + fence(f"cnlw train --method {name}{_example_options(info)}", "console") + "\n"
    text += heading("Formula", 2)
    if shares_module:
        text += f"{escape(title)}\n\n"
    text += _link_methods(_link_components(docstring_to_markdown(rest))) + "\n"
    if "\nSource: " not in rest:
        text += f"**Paper:** {escape(info.paper)}\n\n"
    text += heading("What it needs", 2) + _needs(info)
    text += heading("Options", 2) + _options(target, info)
    text += heading("Cost", 2) + _cost(name, info)
    text += heading("Presets", 2) + _presets(name)
    text += heading("Our own numbers", 2) + _own_numbers(name)
    return text + heading("Published numbers", 2) + _published(name)


def _module(name: str) -> str:
    """Return the module that holds a method."""
    return METHODS.target(name).partition(":")[0]


def _lower_first(text: str) -> str:
    """Return a sentence without a subject as it follows the subject."""
    return text[:1].lower() + text[1:]


def _example_options(info: MethodInfo) -> str:
    """Return what a command line needs besides the method."""
    words = {
        "probe": " --config blue_40_probe10",
        "verified": " --config blue_40_verified20",
        "holdout": " -o holdout=0.1",
        "noise_rate": " -o noise_rate=0.4",
    }
    return "".join(words[need] for need in info.requires)


def _needs(info: MethodInfo) -> str:
    """Return what a method needs besides images and given labels, and how to get it."""
    if not info.requires:
        return "The method needs only images and given labels.\n\n"
    return "".join(f"{NEEDS[need]}\n\n" for need in info.requires)


def _options(target: str, info: MethodInfo) -> str:
    """Return the table of options."""
    if not info.options:
        return "This method has no options.\n\n"
    meanings = option_meanings(target)
    rows = []
    for name, default in info.options.items():
        rows.append(
            [option(f"-o {name}={format_default(default)}"), escape(meanings.get(name, ""))]
        )
    return table(["option with its default", "meaning"], rows)


def option_meanings(target: str) -> dict[str, str]:
    """Return what the docstring of a class, or of its bases, says of each argument."""
    module, _, name = target.partition(":")
    meanings = read_arguments(class_docstring(module, name))
    for base in base_classes(module, name):
        if base.startswith("cnlw_tools."):
            meanings = option_meanings(base) | meanings
    return meanings


def _cost(name: str, info: MethodInfo) -> str:
    """Return the counted and the measured cost."""
    unit = OWN_UNIT if name == BASELINE else UNIT
    rows = [["a step, counted in network passes", f"{info.relative_cost:g}"]]
    measured = read_measured_costs().get(name)
    if measured:
        rows.append(["time of a step, measured", measured["step x"]])
        rows.append(["time of five epochs with validation, measured", measured["training x"]])
        rows.append(["additional peak memory, measured", measured["peak x"]])
    text = f"{unit} {COST}" + table(["cost", "ratio to `vanilla`"], rows)
    return text + (MEASURED if measured else "")


@cache
def read_measured_costs() -> Mapping[str, Mapping[str, str]]:
    """Return the rows of the table of methods in benchmarks/README.md, by method."""
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    _, rows = next(table for table in read_tables(text) if "counted" in table[1][0])
    return {row["method"]: row for row in rows}


def _presets(name: str) -> str:
    """Return the presets that say something of a method, with the options that they set."""
    rows = []
    for preset, path in find_toml_files(default_root(), Path("pipelines/train")).items():
        options = read_toml(path, "preset").get("methods", {}).get(name)
        if options is None and not preset.startswith(f"{name}_"):
            continue
        summary = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        rows.append([code(preset), escape(summary), _format_options(options or {})])
    if not rows:
        return (
            "This method has no preset of its own. It uses the [preset](../presets.md) of the "
            "dataset.\n\n"
        )
    text = "A [preset](../presets.md) says how to train; `--preset NAME` chooses one.\n\n"
    return text + table(["preset", "what it is", "options that it sets"], rows)


def _format_options(options: Mapping[str, Any]) -> str:
    """Return the options of a preset; those of levels after the others."""
    parts = []
    for name, value in options.items():
        if not isinstance(value, Mapping):
            parts.append(code(f"{name}={format_default(value)}"))
    for level, choices in options.get("level", {}).items():
        words = " ".join(f"{name}={format_default(value)}" for name, value in choices.items())
        parts.append(f"at {level} %: {code(words)}")
    return ", ".join(parts)


def _own_numbers(name: str) -> str:
    """Return the results of our own studies with a method, study by study."""
    trials = [trial for trial in read_trials() if trial.method == name]
    if not trials:
        return f"None of the [studies that we ran]({STUDIES}) includes this method.\n\n"
    text = (
        "Each table below belongs to one of our [studies]"
        f"({STUDIES}). It gives the accuracy on the validation set in percent: the mean over seeds, "
        "the half-width of its 95 % t-interval, and, in parentheses, the number of seeds. The column *our data* "
        "names the dataset and the [config](../../glossary.md), that is, the noise and its level."
    )
    if any(trial.variant for trial in trials):
        text += " The column *variant* says how runs on the same data differ, such as by network."
    if any(find_baseline(trial) for trial in trials if name != BASELINE):
        text += (
            " The last column is the accuracy of [`vanilla`](vanilla.md), ordinary training on the "
            "given labels, on the same data, after the last epoch."
        )
    text += "\n\n"
    for study in dict.fromkeys(trial.study for trial in trials):
        rows = [_trial_cells(trial) for trial in trials if trial.study == study]
        text += heading(study, 3) + f"{describe_scale(study)} "
        text += f"See the [tables](../../studies/tables/{study}.md) and the "
        text += f"[conclusions]({STUDIES}).\n\n"
        text += table(["our data", "variant", "last epoch", "best epoch", "vanilla, last"], rows)
    return text


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


def _published(name: str) -> str:
    """Return the numbers of papers that studies compare with runs of this method."""
    cells = [cell for method, cell in _published_cells() if method == name]
    if not cells:
        return "No study compares this method with a published number.\n\n"
    text = (
        "Each table below belongs to one study, which compares our numbers with published ones. "
        "The first two columns give the source of the published number: the table, its row and its "
        "column.\n\n"
    )
    for study in dict.fromkeys(cell.study for cell in cells):
        rows = [_published_row(cell) for cell in cells if cell.study == study]
        text += heading(f"Study {study}", 3)
        names = dict.fromkeys(cell.table for cell in cells if cell.study == study)
        text += " ".join(_sources_of_tables(names)) + "\n\n"
        text += table(["published table: row", "column", "our data", "published", "ours"], rows)
    if any(_our_number(cell) != NOT_RUN for cell in cells):
        text += (
            "**Numbers at a small scale cannot be compared with the published ones.** They come "
            "from fewer images, a smaller network and fewer epochs; see [Our own "
            "numbers](#our-own-numbers). They only show how the methods compare with each "
            "other.\n\n"
        )
    return text + (
        "`cnlw sweep STUDY --scale paper` carries out all runs of a study at the scale of the paper, "
        "and `cnlw report` puts their results beside the published numbers.\n\n"
    )


def _sources_of_tables(names: Iterable[str]) -> list[str]:
    """Return what tables of published numbers measure, and where they come from."""
    tables: dict[tuple[str, str], list[str]] = {}  # by source and metric
    for name in names:
        paper_table = read_paper_tables(default_root())[name]
        metric = METRICS.get(paper_table.get("metric", ""), "They are accuracies in percent.")
        metric = METRICS.get(paper_table.get("caption", ""), metric)
        shown_name = f"*{escape(name.replace('_', ' '))}*"
        tables.setdefault((paper_table["source"], metric), []).append(shown_name)
    return [
        f"The numbers of {' and '.join(shown_names)} come from {_link_source(source)}. {metric}"
        for (source, metric), shown_names in tables.items()
    ]


def _link_source(source: str) -> str:
    """Return the source of a table, in which a repository is a link."""
    match = REPOSITORY.search(source)
    if not match:
        return escape(source)
    repository = link(escape(match[1]), f"https://github.com/{match[1]}")
    return escape(source[: match.start()]) + repository + escape(source[match.end() :])


def _published_row(cell: PublishedCell) -> list[str]:
    """Return the row of a number of a paper, with ours beside it."""
    return [
        escape(f"{cell.table.replace('_', ' ')}: {_plain_label(cell.row)}"),
        escape(cell.column.replace(*SIC)),
        f"{cell.dataset}: {escape(cell.configs)}",
        escape(_plain_number(cell.value)),
        _our_number(cell),
    ]


def _plain_label(label: str) -> str:
    """Return the label of a row of a paper without tags and footnotes, and links as their words."""
    without_tags = re.sub(TAG_OR_FOOTNOTE, "", label)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", without_tags)


def _plain_number(text: str) -> str:
    """Return a number of a paper as plain text, without the TeX of some papers."""
    plain = re.sub(r"\\textbf\{([^}]*)\}", r"\1", text.strip("$"))
    plain = re.sub(r"\{?\\pm\}?", "±", plain)
    return plain.replace("^*", "*")


def _our_number(cell: PublishedCell) -> str:
    """Return our number beside a published one, with its scale, or that there is none."""
    label = re.sub(TAG_OR_FOOTNOTE, "", cell.row)
    number = read_comparisons().get((cell.study, cell.table, label, cell.column))
    if number is None:
        return NOT_RUN
    is_small = "--scale paper" not in describe_scale(cell.study)
    return f"{number}, at a small scale" if is_small else number


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
                        entry["table"], label, column, own_dataset, words, cell["raw"], study
                    ),
                )


def _abbreviate(names: list[str]) -> str:
    if len(names) < 3:
        return ", ".join(names)
    return f"{names[0]} ... {names[-1]}, the mean of {len(names)}"


def _component_names() -> list[str]:
    """Return the modules that hold a formula which methods share."""
    names = []
    for path in sorted((ROOT / "cnlw_tools" / "methods" / "components").glob("*.py")):
        text = docstring_to_markdown(module_docstring(f"{COMPONENTS}.{path.stem}"))
        if "```" in text:
            names.append(path.stem)
    return names


def _link_components(text: str) -> str:
    """Return the text of a method in which the names of shared parts are links."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    for name in _component_names():
        target = f"[`{name}`](what_methods_share.md#{name.replace('_', '-')})"
        for i in range(0, len(parts), 2):  # every second part is a block of code
            parts[i] = parts[i].replace(f"`{name}`", target)
            file = name.replace("_", r"\\?_")  # an underscore may be escaped
            parts[i] = re.sub(rf"\b(components/)?{file}\.py\b", target, parts[i])
    return "".join(parts)


def _link_methods(text: str) -> str:
    """Return the text of a method in which files of other methods are links to their pages."""
    for name in METHODS:
        file = name.replace("_", r"\\?_")  # an underscore may be escaped
        text = re.sub(rf"\b{file}\.py\b", f"[`{name}`]({name}.md)", text)
    return text


def _components_page() -> str:
    """Return the page of the mathematics that methods share, a section a module."""
    text = heading("What methods share")
    text += "Several methods use these formulas. Each section describes a module of "
    text += f"`methods/components`. {WORDS}"
    for name in _component_names():
        title, _, rest = module_docstring(f"{COMPONENTS}.{name}").partition("\n")
        text += f"## {name} {{#{name.replace('_', '-')}}}\n\n{escape(title)}\n\n"
        text += _link_methods(_link_components(docstring_to_markdown(rest))) + "\n"
    return text
