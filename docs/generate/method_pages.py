"""A page for every method: formula, paper, needs, options, cost, presets, published numbers."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cnlw_tools.cli.definitions import MethodInfo, describe_method
from cnlw_tools.cli.list import format_default
from cnlw_tools.files import default_root
from cnlw_tools.files.roots import find_toml_files
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.toml import read_toml
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
from docs.generate.method_numbers import own_numbers, published_numbers
from docs.generate.source_code import (
    base_classes,
    class_docstring,
    module_docstring,
    read_arguments,
)
from docs.generate.study_results import BASELINE

FOLDER = "reference/methods"
PARTS = f"{FOLDER}/what_methods_share.md"
COMPONENTS = "cnlw_tools.methods.components"
ROOT = Path(__file__).parents[2]
NEEDS: Mapping[str, str] = {
    "probe": "The method needs a **probe**: a few trusted images of each class, with true labels. "
    "`cnlw build --probe 10` sets aside ten images of each class and adds `_probe10` to the names "
    "of the configs.",
    "verified": "The method needs **verified labels** and is told which of them are correct. "
    "`cnlw build --verified 20` sets aside twenty images of each class and adds `_verified20` to "
    "the names of the configs.",
    "holdout": "The method needs a **holdout**, which is a share of the noisy training set on which "
    "the network is not trained. By default, a tenth is set aside; `-o holdout=0.2` sets aside a "
    "fifth. The section *Formula* says what the holdout is used for.",
    "noise_rate": "The method needs the **noise rate**, which is the share of wrong labels. You "
    "have to know this rate or estimate it. For example, `-o noise_rate=0.4` states that 40 % of "
    "the labels are wrong.",
}
OPTIONS_OF_NEEDS: Mapping[str, tuple[str, str]] = {  # options of the trainer, not of the method
    "holdout": ("-o holdout=0.1", "share of the training set that is set aside as the holdout"),
    "noise_rate": ("-o noise_rate=RATE", "share of wrong labels, from 0 to 1; has no default"),
}
HOW_COST_IS_MEASURED = (
    "The costs of a method are divided by those of [`vanilla`](vanilla.md), which is ordinary training "
    "on the given labels. The page of each method has a cost that was counted and three that were "
    "measured.\n\n"
    "The cost of a training step is counted in network passes. In a network pass, one batch goes "
    "through the network, forward or backward; a backward pass counts as two forward passes. A step of "
    "`vanilla` consists of one forward and one backward pass. Some methods also make passes between "
    "steps, for example to compute features of the whole training set. The number of these passes is "
    "divided by the number of steps, and the result is added to the cost of a step. Passes that are "
    "made only once or twice in a training run are left out. If the steps of a "
    "method differ, the counted cost is the mean over a training run with the default options.\n\n"
    "Times and memory were measured with a small network on a CPU. The steps that were timed are those "
    "of the first epoch. If a method begins with cheaper steps or makes passes between steps, the "
    "measured time of a step is below the counted cost: for example, a step of `mdyrh` has the cost of a "
    "step of `vanilla` until the warm-up is over. The time of five epochs is that of a short run, so its "
    "ratio may be as high as 1.6 by chance: this is the ratio of `noise_layer`, although `noise_layer` "
    "does nearly the same work as `vanilla`. The additional memory is the "
    "peak memory of training minus the peak memory of a process that holds the same data and trains "
    "`vanilla` on two images at a time. For `vanilla`, the additional memory is only about 50 MiB, "
    "so ratios between 1/2 and 2 may be due to chance. [Benchmarks](../../project/benchmarks/training.md) "
    "describes the measurement.\n\n"
)
WORDS = (
    "Symbols and words that are not explained here are explained in [Notation](index.md#notation) "
    "and in the [glossary](../../glossary.md).\n\n"
)
# How paragraphs of docstrings begin that stand in other sections than the formula:
# results of single runs, and settings of studies
RESULTS = ("On `shapes`", "In our study", "We have numbers")
COST = "The counted cost"
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
| `mean_b`, `sum_b` | the mean and the sum over the batch; with another index, over all its values |
| `<a, b>`, `grad` | the inner product of two vectors; the gradient with respect to the weights of the network |
| `x^t` | the transpose of a matrix or vector |
| `a <- b` | a gets the value b |
| `T[i, j]` | the probability of the given label j if the true class is i; `Q` is the transpose of `T` |
| `Theta`, `eta` | the weights of the network; a learning rate |
| `H(p)` | the entropy of p, `-sum_k p_k log p_k` |
| `1[...]` | 1 if the condition holds, otherwise 0 |
| `x^`, `x~` | an estimate or a second version of x; a mixture of several x |

These words occur on many pages:

| word | meaning |
| --- | --- |
| `shapes` | a dataset of drawn images that comes with the package |
| blue 40 | blue noise at a level of 40 %: this share of the labels changes to another class, drawn uniformly |
| red 40 | red noise at a level of 40 %: wrong web images replace this share of the images |
| rank | one of the processes that train together, each on its own GPU |
| running averages | the means and variances that batch normalisation uses for predictions |
| logged weight, logged loss | the weight and the loss that the run folder records for each example in each epoch |
| view | one augmented version of an image in a training step |
"""


def make_pages() -> dict[str, str]:
    """Return the page of each method, the list of methods, and the page of what they share."""
    pages = {f"{FOLDER}/index.md": _index_page(), PARTS: _components_page()}
    for name in METHODS:
        pages[f"{FOLDER}/{name}.md"] = _method_page(name)
    return pages


def _index_page() -> str:
    text = heading("Methods")
    text += (
        "`cnlw train --method NAME` trains with a method, and `-o option=value` sets its options. The "
        "column `needs` names what a method needs besides images and given labels, and the page of "
        "the method says how to get it. The column `cost` compares a training step of the method "
        "with one of `vanilla`; see [Cost](#cost).\n\n"
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
    text += heading("Cost", 2) + HOW_COST_IS_MEASURED
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
    others, single_runs = _split(rest, RESULTS)
    formula, cost = _split(others, COST)
    text += _to_markdown(formula)
    text = text.replace("page on networks", "page on [networks](../networks.md)")
    if "\nSource: " not in rest:
        text += f"Source: {escape(info.paper)}.\n\n"
    text += heading("What it needs", 2) + _needs(info)
    text += heading("Options", 2) + _options(target, info)
    text += heading("Cost", 2) + _cost(name, info) + _to_markdown(cost)
    text += heading("Presets", 2) + _presets(name)
    text += heading("Our own numbers", 2) + own_numbers(name, _to_markdown(single_runs))
    return text + heading("Published numbers", 2) + published_numbers(name)


def _to_markdown(text: str) -> str:
    """Return a part of a docstring as Markdown with links to other methods and to what they share."""
    if not text:
        return ""
    return _link_methods(_link_components(docstring_to_markdown(text))) + "\n"


def _split(docstring: str, beginning: str | tuple[str, ...]) -> tuple[str, str]:
    """Return a docstring without the paragraphs that begin in certain ways, and these."""
    others = []
    selected = []
    for paragraph in docstring.strip("\n").split("\n\n"):
        part = selected if paragraph.startswith(beginning) else others
        part.append(paragraph)
    return "\n\n".join(others), "\n\n".join(selected)


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
    needed = [OPTIONS_OF_NEEDS[need] for need in info.requires if need in OPTIONS_OF_NEEDS]
    if not info.options and not needed:
        return "This method has no options.\n\n"
    meanings = option_meanings(target)
    rows = [[option(words), meaning] for words, meaning in needed]
    for name, default in info.options.items():
        meaning = _link_components(escape(meanings.get(name, "")))
        rows.append([option(f"-o {name}={format_default(default)}"), meaning])
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
    rows = [["mean step, counted in network passes", f"{info.relative_cost:g}"]]
    measured = read_measured_costs().get(name)
    if measured:
        rows.append(["time of a step in the first epoch, measured", measured["step"]])
        rows.append(["time of five epochs with validation, measured", measured["training"]])
        rows.append(["additional peak memory, measured", measured["peak"]])
    text = (
        "Each number is the cost of this method divided by that of [`vanilla`](vanilla.md). "
        if name != BASELINE
        else "The costs of all methods are divided by those of `vanilla`, so all numbers here are 1. "
    )
    text += "[Cost](index.md#cost) says how the costs were counted and measured.\n\n"
    return text + table(["cost", "ratio to `vanilla`"], rows)


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
        parts.append(f"at level {level}: {code(words)}")
    return ", ".join(parts)


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
    text += "Most formulas on this page are used by several methods. Each section describes a "
    text += f"module of `methods/components`. {WORDS}"
    for name in _component_names():
        title, _, rest = module_docstring(f"{COMPONENTS}.{name}").partition("\n")
        text += f"## {name} {{#{name.replace('_', '-')}}}\n\n{escape(title)}\n\n"
        text += _to_markdown(rest)
    return text
