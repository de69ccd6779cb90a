"""A study is a TOML file in pipelines/studies/ that says which runs to make, and what to hold them against.

`[scale.NAME]` holds keys that go before those above: what fits a laptop, what the paper did. expand.py makes runs of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnlw_tools.recipe import recipe as recipes
from cnlw_tools.registry import pick, suggest

FOLDER = Path("pipelines") / "studies"
METRICS = ("last", "best", "mean10")  # what a run comes to
FIGURES = {  # what a report can draw, and whose figure it is; report/figures.py says how
    "over": "Accuracy over a number of the config, the method or the preset (most papers)",
    "belts": "95 % interval over levels against progress (Jiang et al. 2020, figures 4 and 5)",
    "drop": "Best less last epoch over the same number (Jiang et al. 2020, figure 3)",
    "curves": "Accuracy over epochs (Zhang et al. 2020, figures 2 and 3)",
    "grid": "Accuracy over two numbers, `over` and `across` (Sukhbaatar et al. 2015, figure 3)",
    "weights": "Mean weight and loss of noisy and clean examples by epoch (Zhang et al. 2020, figure 4)",
    "transitions": "Transition matrices by methods beside the realised ones (Sukhbaatar et al. 2015, figures 1 and 2)",
    "labels": "Given labels of the images of one class (Rolnick et al. 2017, figure 3)",
    "recall": "Precision over recall of inliers among outliers (Sukhbaatar et al. 2015, figure 4)",
    "sizes": "Images of every split, classes and share of noise, as built (Jiang et al. 2020, table 1)",
    "cost": "Seconds an epoch and memory of each method, in those of vanilla (Zhang et al. 2020, appendix C)",
    "scatter": "Accuracy over a number known of each network, `x` (Jiang et al. 2020, on pre-training)",
}
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """A table of published.json, and which of our cells stand beside its own."""

    table: str
    columns: Mapping[str, Any]  # its column -> a config of ours, or several, whose mean counts
    rows: Mapping[
        str, str
    ]  # its row's label -> a method of ours; none: nothing of ours is run for it
    where: Table = field(default_factory=dict)  # what else its rows must say: dataset = "CIFAR10"
    metric: str = "last"  # of ours
    split: str = ""  # on images of validation of this name; none: on those of validation itself
    times: float = 1  # 100 where it counts in shares
    error: bool = False  # it counts what is wrong: 100 less ours stands beside it
    dataset: str = ""  # none: the study's


@dataclass(frozen=True, slots=True)
class Study:
    """What to run."""

    dataset: str
    configs: tuple[
        Table, ...
    ]  # what a recipe says: noise, levels, options, probe ...; a grid of options; a preset
    methods: tuple[
        Table, ...
    ]  # name, options, grid of them; label, configs, preset; none: nothing is trained
    nets: tuple[str, ...] = ()  # none: the preset's
    seeds: tuple[int, ...] = (0,)
    preset: str = ""  # none: the one called like the dataset
    build: str = ""  # folder below builds/ of this dataset; none: its name, as that of any other
    changes: Table = field(default_factory=dict)  # of the preset: epochs, batch_size, lr ...
    grid: Table = field(default_factory=dict)  # the same, each a list to be gone through
    over: str = "level"  # what the curves go over: the level, an option, a key of the preset
    across: str = ""  # what a grid goes over the other way
    apart: tuple[str, ...] = ()  # options that are no trial of a method but a method of their own
    figures: tuple[str, ...] = ("over", "belts", "drop", "curves")  # of `FIGURES`
    x: Table = field(default_factory=dict)  # what is known of each network: a number by its name
    pretrained: bool = False  # begin with the weights of ImageNet
    rule: str = "last"  # what the best trial is chosen by: one of `METRICS`
    notes: tuple[str, ...] = ()  # footnotes of the report
    published: tuple[Published, ...] = ()

    def folder(self, dataset: str) -> str:
        """Return the folder of a dataset's build below builds/."""
        return self.build if self.build and dataset == self.dataset else dataset


def _is(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _all(kind: type, least: int = 1) -> Callable[[Any], bool]:
    return lambda v: (
        isinstance(v, list) and len(v) >= least and all(_is(inner, kind) for inner in v)
    )


def is_grid(value: Any) -> bool:
    """Is it a table of lists, none of them empty?"""
    return isinstance(value, Mapping) and all(isinstance(v, list) and v for v in value.values())


def _table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _text(value: Any) -> bool:
    return _is(value, str)


CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (_text, "the name of a dataset"),
    "configs": (_all(dict), "one or more tables: [[configs]]"),
    "methods": (_all(dict, 0), "tables: [[methods]], or [] to build alone"),
    "nets": (_all(str, 0), "a list of networks"),
    "seeds": (lambda v: _all(int)(v) and min(v) >= 0, "a list of whole numbers from 0 on"),
    "preset": (_text, "the name of a preset, or a path that ends in .toml"),
    "build": (
        lambda v: _text(v) and re.fullmatch(r"[\w.-]*", v) is not None,
        "the name of a folder",
    ),
    "changes": (_table, "a table of a preset's keys"),
    "grid": (is_grid, "a table of lists"),
    "over": (_text, "level, or the name of an option"),
    "across": (_text, "level, or the name of an option"),
    "apart": (_all(str, 0), "a list of options"),
    "figures": (_all(str, 0), "a list of names"),
    "x": (
        lambda v: _table(v) and all(_is(n, int, float) for n in v.values()),
        "a table of numbers by network",
    ),
    "pretrained": (lambda v: _is(v, bool), "true or false"),
    "rule": (lambda v: v in METRICS, f"one of {', '.join(METRICS)}"),
    "notes": (_all(str, 0), "a list of sentences"),
    "published": (_all(dict, 0), "tables: [[published]]"),
}
METHOD = {
    "name": (_text, "the name of a method"),
    "label": (_text, "what the report calls it"),
    "options": (_table, "a table of options"),
    "grid": (is_grid, "a table of lists of options"),
    "on": (_all(str), "a list of configs, with * for any letters"),
    "preset": (_text, "the name of a preset, or a path that ends in .toml"),
    "nets": (_all(str), "a list of networks"),
    "changes": (_table, "a table of a preset's keys"),
}
PUBLISHED = {
    "table": (_text, "a table of published.json"),
    "columns": (
        lambda v: _table(v) and all(_text(c) or _all(str)(c) for c in v.values()),
        "column = config, or a list",
    ),
    "rows": (lambda v: _table(v) and all(map(_text, v.values())), "row = method"),
    "where": (_table, "a table"),
    "metric": (lambda v: v in METRICS, f"one of {', '.join(METRICS)}"),
    "split": (_text, "the name of images of validation: ilsvrc12"),
    "times": (lambda v: _is(v, int, float) and v > 0, "a positive number"),
    "error": (lambda v: _is(v, bool), "true or false"),
    "dataset": (_text, "the name of a dataset"),
}
NEEDS = {"grid": "across", "scatter": "x"}  # keys that a figure asks for


def load(path: Path, scale: str = "") -> Study:
    """Read a study, at one of its scales.

    Raises:
        ValueError: not TOML, an unknown or missing key, a value out of range, a scale that there is not
        FileNotFoundError: there is no such file
    """
    return make(recipes.read(path), str(path), scale)


def scales(path: Path) -> list[str]:
    """Return the names of a study's scales."""
    return list(recipes.read(path).get("scale", {}))


def make(raw: Table, where: str, scale: str = "") -> Study:
    """Check every value and return the study; ``where`` is what the errors call it.

    Raises:
        ValueError: an unknown or missing key, a value out of range, a scale that there is not
    """
    by_scale = raw.get("scale", {})
    if not isinstance(by_scale, Mapping) or not all(
        isinstance(said, Mapping) for said in by_scale.values()
    ):
        raise ValueError(f"{where}: scale = {by_scale!r}: it must be tables: [scale.small]")
    if scale not in ("", *by_scale) or (by_scale and not scale):
        there = f"There are: {', '.join(by_scale)}" if by_scale else "It has none"
        asked = f"no scale {scale!r}.{suggest(scale, by_scale)}" if scale else "name a scale."
        raise ValueError(f"{where}: {asked} {there}")
    said = {**{k: v for k, v in raw.items() if k != "scale"}, **by_scale.get(scale, {})}
    _strict(said, CHECKS, where, ("dataset", "configs", "methods"))
    for entry in said["methods"]:
        _strict(entry, METHOD, f"{where}: [[methods]]", ("name",))
    for entry in said.get("published", []):
        _strict(entry, PUBLISHED, f"{where}: [[published]]", ("table", "columns", "rows"))
    _figures(said, where)
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
    values["published"] = tuple(Published(**entry) for entry in said.get("published", []))
    return Study(**values)


def _figures(said: Table, where: str) -> None:
    """Raise if there is no such figure, or it lacks what it is drawn from."""
    for name in said.get("figures", ()):
        if name not in FIGURES:
            raise ValueError(
                f"{where}: unknown figure {name!r}.{suggest(name, FIGURES)} There are: {', '.join(FIGURES)}"
            )
        if name in NEEDS and not said.get(NEEDS[name]):
            raise ValueError(f"{where}: the figure {name!r} needs the key {NEEDS[name]!r}: add it")


def _strict(
    said: Table,
    checks: Mapping[str, tuple[Callable[[Any], bool], str]],
    where: str,
    must: tuple[str, ...],
) -> None:
    """Raise if a key is unknown or missing, or a value does not fit."""
    for key in must:
        if key not in said:
            raise ValueError(f"{where}: {key!r} is missing: add it")
    for key, value in said.items():
        if key not in checks:
            raise ValueError(
                f"{where}: unknown key {key!r}.{suggest(key, checks)} There are: {', '.join(checks)}"
            )
        fits, wanted = checks[key]
        if not fits(value):
            raise ValueError(f"{where}: {key} = {value!r}: it must be {wanted}")


def names(root: Path) -> list[str]:
    """Return the studies that there are."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.toml"))


def find(name: str, root: Path) -> Path:
    """Return the file of a study, by its path or its name.

    Raises:
        LookupError: there is none; the message says which there are
    """
    known = {stem: root / FOLDER / f"{stem}.toml" for stem in names(root)}
    return Path(name) if Path(name).is_file() else pick(known, name, "study")
