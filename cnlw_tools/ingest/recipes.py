"""Which recipe a user means: a file, a name, or a dataset and a noise, and choices on top."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnlw_tools.dataset import dataset
from cnlw_tools.files.roots import find_toml_files, suggest_root
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import FOLDER, Recipe, find_recipe_of, merge_choices, parse_recipe
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry import pick, suggest
from cnlw_tools.sources import SOURCES, has_source

EMBEDDED = "shapes"  # the dataset that comes with the package


def resolve_recipe(name: str | None, choices: Mapping[str, Any], inputs: Inputs) -> Recipe:
    """Return a recipe with the choices of a user, which go before what its file says.

    Args:
        name: a TOML file, or the name of a recipe; none: the one called DATASET_NOISE, if there
            is one, of the dataset and the noise among the choices
        choices: values by key of `Recipe`; options of the noise are added to those of the file
        inputs: its root has pipelines/, manifests/ and annotations/

    Raises:
        ValueError: no noise is named, an unknown key, or a value out of range
        LookupError: unknown dataset or noise
        FileNotFoundError: there is no such recipe
    """
    choices = dict(choices)
    if name is None:
        choices.setdefault("dataset", EMBEDDED)
        path = _recipe_of_dataset(choices, inputs)
    else:
        path = _named_recipe(name, inputs.root)
    raw = read_toml(path, "recipe") if path else {}
    source = f"{path} and the choices of this call" if path else "the choices of this call"
    return parse_recipe(merge_choices(raw, choices), source)


def _named_recipe(name: str, root: Path) -> Path:
    """Return the file of a recipe, by its path or its name."""
    if Path(name).is_file():
        return Path(name)
    paths = find_toml_files(root, FOLDER)
    if name not in paths:
        other_root = suggest_root(root, FOLDER / f"{name}.toml")
        guess = f" Did you mean --noise {name}?" if name in NOISE else suggest(name, paths)
        raise FileNotFoundError(
            f"{name}: there is no such recipe.{guess}{other_root} "
            "Fix: choose a recipe from `cnlw list recipes`"
        )
    return paths[name]


def _recipe_of_dataset(choices: Mapping[str, Any], inputs: Inputs) -> Path | None:
    """Return the recipe of a dataset and a noise; none if the choices have to say everything."""
    if "noise" not in choices:
        raise ValueError(
            "no kind of noise is named: give one, such as --noise red, or a recipe; "
            "see `cnlw list noise` and `cnlw list recipes`"
        )
    name, noise = choices["dataset"], choices["noise"]
    if not has_source(name, inputs):
        names = dict.fromkeys([*dataset.list_datasets(inputs.root), *SOURCES])
        dataset.check_name(name, names, inputs.root)
    pick(NOISE, noise, "noise")
    return find_recipe_of(name, noise, inputs.root)
