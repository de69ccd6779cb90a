"""A page for every noise model: formula, paper, options, a picture of its matrix, its recipes."""

import inspect
import io
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnlw_tools.api import Plan
from cnlw_tools.card.heatmap import draw_matrices
from cnlw_tools.cli.list import format_default
from cnlw_tools.dataset.tables import read_classes
from cnlw_tools.files import default_root
from cnlw_tools.files.roots import find_toml_files
from cnlw_tools.noise import NOISE, NoiseModel
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry.counts import join_words
from docs.generate.markdown import (
    code,
    docstring_to_markdown,
    escape,
    heading,
    link,
    option,
    table,
)
from docs.generate.noise_examples import DATASET, Example, draw_example
from docs.generate.source_code import read_arguments

FOLDER = "reference/noise"
GUARANTEES: Mapping[str, str] = {
    "exact": "The number of noisy images follows from the level and is not left to chance.",
    "proportional": "In every class that the noise changes, the same percentage of the images is noisy, give or "
    "take one image.",
    "nested": "Examples that are noisy at one level are noisy in the same way at all higher levels.",
    "keeps_images": "No image is replaced or changed.",
    "keeps_labels": "Labels stay the same; only images change.",
    "dilutes": "Clean examples are kept, and noisy copies are added.",
    "adds": "Clean examples are kept, and images from outside the dataset are added.",
}
SYMBOLS: Mapping[str, str] = {  # symbol -> what it means, if a formula has it
    r"\bC\b": "`C` is the number of classes",
    r"\bmod C\b|\bc \+ 1 \.\.\. C - 1|the label 0": "classes are numbered from 0 to C - 1",
    r"\by\b(?!')": "`y` is the true label of an image",
    r"\by'": "`y'` is the label that the learner gets",
    r"\bu\b": "`u` is a random number, 0 <= u < 1, that depends only on the seed and the image",
    r"\bn_c\b": "`n_c` is the number of images of class c",
    r"\bP\(": "`P(...)` is a probability",
    r"by (their )?key|of their keys": "the `key` of an image is a random number that depends only on the seed and the image",
    r"corruption order": "the corruption order is the order in which images become noisy as the level grows",
}
VERBS: Mapping[str, str] = {  # how the summary of a model begins -> what the model does
    "apply": "applies",
    "draw": "draws",
    "flip": "flips",
    "keep": "keeps",
    "replace": "replaces",
    "simulate": "simulates",
    "take": "takes",
}
PICTURE = (
    "A row of the matrix stands for a true class, and a column for a given label. The number in a "
    "cell is the percentage of the examples of the class that have this label."
)
FORMULA_END = "\n```\n\n"  # the fence that closes it, and an empty line
LEFT_OUT = "The matrix leaves out examples whose image was replaced or added."
IDENTITY = "The labels of the other examples do not change, so the matrix is the identity."
DONORS = (
    "This noise needs a donor{unless}: `--donor NAME=DIR` names a dataset, and `--donor white` stands for "
    "pictures of white noise (random pixels)."
)
OWN_DONOR = "The recipe for `shapes` already names a donor."
WEB_POOL = (
    "candidates (images that a web search returned for a class) and the votes of people on "
    "whether these images show the class."
)


def make_pages() -> dict[str, str | bytes]:
    """Return the page of each noise model with its picture, and one that lists them all."""
    pages: dict[str, str | bytes] = {f"{FOLDER}/index.md": _index_page()}
    for name, model in NOISE.items():
        example = draw_example(name)
        pages[f"{FOLDER}/{name}.png"] = draw_picture(example.plan)
        pages[f"{FOLDER}/{name}.md"] = _model_page(name, model, example)
    return pages


def _index_page() -> str:
    text = heading("Noise models")
    text += (
        "`--noise NAME` chooses a noise model, and `-o option=value` sets its options. A level is "
        "a percentage of the training images, unless the page of the model says otherwise. "
        "[Noise and its kinds](../../concepts/noise.md) explains how the models differ, and the "
        "[glossary](../../glossary.md) explains terms such as *level* and *donor*.\n\n"
    )
    rows = []
    for name, model in NOISE.items():
        summary = _say_of_a_model(summarise(model)).removesuffix(".")
        rows.append([link(code(name), f"{name}.md"), escape(summary), escape(model.paper)])
    return text + table(["name", "what it does", "paper"], rows)


def summarise(model: NoiseModel) -> str:
    """Return the first line of the docstring of a model."""
    return (model.draw.__doc__ or "").partition("\n")[0]


def _say_of_a_model(summary: str) -> str:
    """Return an imperative sentence as it follows its subject: `Keep ..., and add ...`."""
    sentence = f"{summary[:1].lower()}{summary[1:]}"
    verb, blank, rest = sentence.partition(" ")
    rest = re.sub(r"\band add\b", "and adds", rest)
    return f"{VERBS[verb]}{blank}{rest}"


def _model_page(name: str, model: NoiseModel, example: Example) -> str:
    title, _, rest = (sys.modules[_module(model)].__doc__ or "").partition("\n")
    shares_module = len([1 for other in NOISE.values() if _module(other) == _module(model)]) > 1
    text = heading(f"Noise: {name}")
    if shares_module:
        text += f"The noise model `{name}` {escape(_say_of_a_model(summarise(model)))}\n\n"
    else:
        text += f"{escape(title)}\n\n"
    text += heading("Formula", 2)
    if shares_module:
        text += f"{escape(title)}\n\n"
    formula = _link_models(docstring_to_markdown(rest)) + "\n"
    symbols = _explain_symbols("\n".join([rest, *option_meanings(model).values()]))
    text += _put_below_formula(formula, symbols)
    if model.paper and not re.search("\nPapers?: ", rest):
        word = "Papers" if ", " in model.paper else "Paper"
        text += f"{word}: {escape(model.paper)}.\n\n"
    text += _what_it_needs(name, model)
    text += heading("Options", 2) + _options(model)
    text += heading("What is guaranteed", 2) + _guarantees(model)
    text += heading("Example", 2) + _example(name, example)
    return text + heading("Recipes", 2) + _recipes(name)


def _module(model: NoiseModel) -> str:
    """Return the module that holds a model."""
    return model.draw.__module__


def _link_models(text: str) -> str:
    """Return the text of a model in which files of other models are links to their pages."""
    for name in NOISE:
        file = name.replace("_", r"\\?_")  # an underscore may be escaped
        text = re.sub(rf"\b{file}\.py\b", f"[`{name}`]({name}.md)", text)
    return text


def _put_below_formula(text: str, symbols: str) -> str:
    """Return the text with the meanings of symbols below its first formula, or at its end."""
    before, end, after = text.partition(FORMULA_END)
    return f"{before}{end}{symbols}{after}"


def _explain_symbols(formula: str) -> str:
    """Return a sentence for each symbol of a formula that the text leaves unexplained."""
    said = " ".join(formula.split())
    meanings = [
        text for symbol, text in SYMBOLS.items() if re.search(symbol, formula) and text not in said
    ]
    if not meanings:
        return ""
    if len(meanings) == 1:
        return f"Here, {meanings[0]}.\n\n"
    return (
        "Symbols and terms:\n\n"
        + "".join(f"- {text};\n" for text in meanings[:-1])
        + (f"- {meanings[-1]}.\n\n")
    )


def _options(model: NoiseModel) -> str:
    """Return the options with their defaults, and the level."""
    level = "`--level` takes whole percentages, such as 40.\n\n"
    if not model.has_level:
        level = f"There is no level: {_what_decides(model)}.\n\n"
    if not model.options:
        return f"{level}This noise model has no options.\n\n"
    meanings = option_meanings(model)
    rows = []
    for name, default in model.options.items():
        word = option(f"-o {name}={format_default(default)}")
        rows.append([word, _type_name(default), escape(meanings.get(name, ""))])
    return level + table(["option with its default", "type", "meaning"], rows)


def _takes_labels(model: NoiseModel) -> bool:
    """Return whether a model takes all its labels from a side table."""
    return not model.has_level and not model.always_in_name


def _what_decides(model: NoiseModel) -> str:
    """Return what takes the place of a level, and what it determines."""
    if not _takes_labels(model):
        names = [f"`{name}`" for name in sorted(model.always_in_name)]
        if len(names) == 1:
            return f"the option {names[0]} determines how much noise there is"
        return f"the options {' and '.join(names)} determine the noise"
    return "the labels in the side table determine how much noise there is"


def option_meanings(model: NoiseModel) -> dict[str, str]:
    """Return what the docstring of a model says of its options."""
    return read_arguments(inspect.getdoc(model.draw) or "")


def _type_name(value: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "word"}
    return names.get(type(value), "")


def _guarantees(model: NoiseModel) -> str:
    lines = []
    for name, meaning in GUARANTEES.items():
        if name in model.guarantees:
            lines.append(f"- **{name.replace('_', ' ')}**: {meaning}")
    claim = "this property holds" if len(lines) == 1 else "these properties hold"
    tests = f"The package's tests check that {claim}{_tested_options(model)}."
    return "\n".join(lines) + f"\n\n{tests}\n\n"


def _tested_options(model: NoiseModel) -> str:
    """Return the options with which a model is tested, as the end of a sentence."""
    if not model.options:
        return ""
    if not model.test_options:
        return " with the default options"
    values = []
    for name, value in model.test_options.items():
        # A function makes the value for each number of classes.
        example = f"an example of {code(name)}"
        values.append(example if callable(value) else code(f"{name}={format_default(value)}"))
    has_others = bool(model.options.keys() - model.test_options.keys())
    rest = " and the defaults of the other options" if has_others else ""
    return f" with {', '.join(values)}{rest}"


def _what_it_needs(name: str, model: NoiseModel) -> str:
    """Return a section on the images from elsewhere that a model needs, if any."""
    text = ""
    if model.needs_web_pool:
        subject = "If one of the two models is `red`, which is the default for `second`, this noise"
        text += f"{subject if name == 'mix' else 'This noise'} needs {WEB_POOL}\n\n"
    if model.needs_donors:
        unless = " unless `copy_own` is set" if "copy_own" in model.options else ""
        donors = DONORS.format(unless=unless)
        text += f"{donors} {OWN_DONOR}\n\n" if _has_recipe(name) else f"{donors}\n\n"
    return heading("What it needs", 2) + text if text else ""


def _has_recipe(name: str) -> bool:
    """Return whether a recipe of the package makes this noise on the dataset of the examples."""
    return (default_root() / "pipelines" / f"{DATASET}_{name}.toml").exists()


def _recipe_options(name: str) -> str:
    """Return which options that recipe sets; a matrix would be too long to show."""
    raw = read_toml(default_root() / "pipelines" / f"{DATASET}_{name}.toml", "recipe")
    options = [
        code(f"{option}={format_default(value)}")
        for option, value in raw.get("options", {}).items()
        if not isinstance(value, list)
    ]
    if not options:
        return ""
    return f", which sets {join_words(options, max_words=len(options))}"


def draw_picture(drawn: Plan) -> bytes:
    """Return a PNG of the realised matrix of a plan."""
    classes = read_classes(default_root() / "manifests" / DATASET / "classes.csv")
    matrix = drawn.realised.matrix
    names = [*classes, "outlier"][: len(matrix)]
    picture = draw_matrices([(drawn.config, matrix)], names)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _example(name: str, example: Example) -> str:
    """Return how to make an example, its numbers and its picture."""
    expected, realised = example.plan.expected, example.plan.realised
    rows = [
        ["examples with a wrong label or image", _percent(expected.rate), _percent(realised.rate)],
        [
            "examples with an image from outside the dataset",
            _percent(expected.foreign_rate),
            _percent(realised.foreign_rate),
        ],
    ]
    text = example.steps + (f"\n{example.note}\n" if example.note else "")
    if _has_recipe(name):
        text += (
            f"\nThe dataset is `{DATASET}`, the default. All other settings come from the recipe "
            f"`{DATASET}_{name}`{_recipe_options(name)}.\n"
        )
    origin = "follow from the noise model"
    if _takes_labels(NOISE[name]):
        origin = "are computed from the side table"
    text += (
        f"\nThe expected shares {origin}. The realised shares are computed from the plan that "
        "`cnlw plan` makes.\n\n"
    )
    text += table(["share of the training examples", "expected", "realised"], rows)
    text += f"![Transition matrix of the example]({name}.png)\n\n"
    is_identity = bool((realised.matrix == np.eye(len(realised.matrix))).all())
    sentences = [PICTURE]
    if realised.foreign_rate > 0:
        sentences.append(LEFT_OUT)
    if is_identity:
        sentences.append(IDENTITY)
    return text + " ".join(sentences) + "\n\n"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _recipes(name: str) -> str:
    """Return the recipes of the package that use a model."""
    rows = []
    for recipe, path in find_toml_files(default_root(), Path("pipelines")).items():
        raw = read_toml(path, "recipe")
        if raw.get("noise") == name:
            summary = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            rows.append([code(recipe), escape(summary)])
    if not rows:
        return (
            "No recipe of the package uses this noise model. Give "
            f"`--noise {name}` with any dataset.\n"
        )
    return table(["recipe", "what it builds"], rows)
