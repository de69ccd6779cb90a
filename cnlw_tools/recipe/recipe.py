"""A recipe is a TOML file that says what to build. It holds choices, never logic."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cnlw_tools.files.roots import find_below
from cnlw_tools.files.untrusted import BadFile, translate_errors
from cnlw_tools.recipe.keys import (
    INPUT,
    LEVEL,
    PLAN,
    STORAGE,
    TEXT,
    declared_keys,
    key,
    keys_of_kind,
    refuse_old_names,
)
from cnlw_tools.recipe.strict import Check, between, matching, one_of, read_dataclass
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry.plain_names import plain_name

FOLDER = Path("pipelines")
BENCHMARK_LEVELS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 80)  # of Jiang et al. (2020), percent
HIGHEST_LEVEL = 95  # percent
MAX_VALIDATION = 90  # percent of the training images that a validation split may take
VERDICTS = ("majority", "dawid_skene")
RESIZE = ("squash", "crop", "pad", "short")
WHITE_NOISE_DONORS = ("white", "white_uniform")  # donors that are not datasets
NAME = r"[a-z0-9][a-z0-9_-]*"


def _are_levels(levels: tuple[int, ...]) -> bool:
    return len(levels) > 0 and all(0 <= level <= HIGHEST_LEVEL for level in levels)


def _are_distinct_names(names: tuple[str, ...]) -> bool:
    return len({*names}) == len(names) and all(re.fullmatch(NAME, name) for name in names)


COUNT = between(0, expected="a whole number that is 0 or more")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A description of what to build: a dataset, noise, levels, and how images are stored.

    A recipe is read from a TOML file, and the arguments of `build` and `plan` replace values in it.
    In the table, N, PERCENT and RATIO stand for the value of a field. The name of a config, such as
    ``red_40``, contains the values of some fields, in the order of the table.
    """

    dataset: str = key(
        kind=PLAN,
        published=True,
        help="Name of the dataset; `cnlw list datasets` lists the names.",
        check=matching(NAME, "a lower-case name"),
        option="--dataset",
        metavar="NAME",
        default_text="shapes",
    )
    noise: str = key(
        kind=PLAN,
        published=True,
        help="Kind of noise, such as red or blue; see `cnlw list noise`.",
        option="--noise",
        metavar="NAME",
    )
    # Levels of noise in percent, from 0 to 95.
    levels: tuple[int, ...] = key(
        BENCHMARK_LEVELS,
        kind=LEVEL,
        published=True,
        help="Level of noise in percent, from 0 to 95; a list such as 0,40; or all.",
        option="--level",
        metavar="PERCENT",
        default_text="all",
        check=Check(_are_levels, f"whole percents from 0 to {HIGHEST_LEVEL}"),
    )
    # Options of the noise model, by name; see `cnlw list noise`.
    options: Mapping[str, Any] = key(
        default_factory=dict,
        kind=PLAN,
        help="Option of the noise model (see `cnlw list noise`); may be repeated.",
        option="-o",
        metavar="NAME=VALUE",
    )
    published_splits: bool = key(
        False,
        kind=PLAN,
        published=True,
        help="Read the splits that Jiang et al. (2020) published, and draw no noise.",
        option="--published-splits",
        old_name="splits",
        old_values={"drawn": False, "official": True},
    )
    # Names of other datasets whose images the noise uses.
    donors: tuple[str, ...] = key(
        (),
        kind=PLAN,
        help="Another dataset whose images the noise uses, and its folder; may be repeated.",
        option="--donor",
        metavar="NAME[=DIR]",
        check=Check(_are_distinct_names, "different lower-case names"),
        in_name="_".join,
    )
    validation: int = key(
        0,
        kind=PLAN,
        help="Move PERCENT of each class from train to the clean split validation.",
        check=between(0, MAX_VALIDATION, f"a whole percent from 1 to {MAX_VALIDATION}"),
        option="--validation",
        metavar="PERCENT",
        default_text="none",
        in_name="val{}".format,
    )
    train_size: int = key(
        0,
        kind=PLAN,
        help="Keep only N training images, with the same class shares, before noise is added.",
        check=COUNT,
        option="--train-size",
        old_name="clean",
        metavar="N",
        default_text="all images",
        in_name="clean{}".format,
    )
    imbalance_ratio: float = key(
        1,
        kind=PLAN,
        help="Shrink training classes until the first is RATIO times as large as the last.",
        check=Check(lambda ratio: 1 <= ratio < 1e9, "a ratio of at least 1"),
        option="--imbalance-ratio",
        old_name="longtail",
        metavar="RATIO",
        in_name="longtail{:g}".format,
    )
    probe: int = key(
        0,
        kind=PLAN,
        help="Move N images of each class from train to the trusted split probe.",
        check=COUNT,
        option="--probe",
        metavar="N",
        in_name="probe{}".format,
    )
    verified: int = key(
        0,
        kind=PLAN,
        help="Move N images of each class to the split verified, whose wrong labels are known.",
        check=COUNT,
        option="--verified",
        metavar="N",
        in_name="verified{}".format,
    )
    verdict: str = key(
        "majority",
        kind=PLAN,
        help="How votes become a verdict; dawid_skene gives reliable annotators more weight.",
        check=one_of(*VERDICTS),
        in_name=plain_name,
    )
    search: tuple[str, ...] = key(
        (),
        kind=PLAN,
        help="Use only candidates whose column `search` has one of these values.",
        check=Check(all, "a list of words"),
        default_text="all candidates",
        in_name=lambda words: plain_name(" ".join(sorted({*words}))),
    )
    nested: bool = key(
        True,
        kind=PLAN,
        help="Keep the noise of a level at all higher levels; false: draw levels separately.",
        in_name=lambda _: "independent",
    )
    seed: int = key(
        0,
        kind=PLAN,
        published=True,
        help="Seed of all random draws; a different seed draws unrelated noise.",
        check=between(0, (1 << 63) - 1, "a whole number that is 0 or more"),
        option="--seed",
        metavar="N",
        in_name="s{}".format,
    )
    min_votes: int = key(
        1,
        kind=PLAN,
        help="Smallest number of votes, yes and no together, that gives a verdict.",
        check=between(1, expected="a whole number of at least 1"),
    )
    per_class: int = key(
        0,
        kind=PLAN,
        help="Use only N images of each class, as if the class had no others.",
        check=COUNT,
        default_text="all images",
    )
    side_table: str = key(
        "",
        kind=INPUT,
        help="File with labels or features of each image, which some noise models need.",
        default_text="the dataset's side.parquet, if any",
        option="--side-table",
        old_name="side",
        metavar="FILE",
    )
    without: str = key(
        "",
        kind=INPUT,
        published=True,
        help="File with the ids of images to leave out, one on each line.",
        default_text="no image is left out",
        option="--without",
        metavar="FILE",
    )
    size: int | None = key(
        None,
        kind=STORAGE,
        help="Store images with a side of N pixels.",
        check=between(1, 8192, "pixels, from 1 to 8192"),
        option="--size",
        metavar="N",
        default_text="unchanged",
    )
    resize: str = key(
        "squash",
        kind=STORAGE,
        help="How to resize: distort (squash), crop, pad, or set the short side to N (short).",
        check=one_of(*RESIZE),
        option="--resize",
    )
    quality: int = key(
        95,
        kind=STORAGE,
        help="JPEG quality of images that have to be re-encoded.",
        check=between(1, 100, "from 1 to 100"),
        option="--quality",
        metavar="N",
    )
    shard_rows: int = key(
        1000,
        kind=STORAGE,
        help="Number of images in one file; a file of large images holds fewer.",
        check=between(1, 1_000_000, "from 1 to 1000000"),
    )
    layout: str = key(
        "shared",
        kind=STORAGE,
        help="How to store rows that configs share: once (shared), or in each config (flat).",
        check=one_of("shared", "flat"),
        option="--layout",
        old_values={"bands": "shared"},
    )
    # What the folder of the images must hold; error messages show this text.
    data_dir_layout: str = key(
        "",
        kind=TEXT,
        help="Description of what the folder of --data-dir must hold.",
        old_name="needs",
        default_text="nothing: the images come with the package",
    )
    licence: str = key(
        "unknown",
        kind=TEXT,
        help="Licence of the images: an identifier of the Hugging Face Hub.",
    )
    citation: str = key("", kind=TEXT, help="BibTeX entry to cite for the images.")


RECORDED = tuple(keys_of_kind(Recipe, PLAN))  # what the card of a build says of a config


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ValueError: not TOML, an unknown or missing key, or a value out of range
        FileNotFoundError: there is no such file
    """
    return parse_recipe(read_toml(path, "recipe"), str(path))


def find_recipe_of(dataset: str, noise: str, root: Path) -> Path | None:
    """Return the file of the recipe DATASET_NOISE, of a root or of the package; none without one.

    Args:
        dataset: name of the dataset
        noise: name of the noise
        root: the folder of pipelines/
    """
    return find_below(root, FOLDER / f"{dataset}_{noise}.toml")


def merge_choices(raw: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a recipe file, replaced by the choices of a user; options are joined.

    If the choices ask for published splits, keys of the file that say how to draw are left out.
    """
    keys = dict(raw)
    if choices.get("published_splits"):
        for name, declared in declared_keys(Recipe).items():
            if not declared.published:
                keys.pop(name, None)
    options: dict[str, Any] = {}
    for given in (keys.get("options", {}), choices.get("options", {})):
        if not isinstance(given, Mapping):  # the reader of the recipe says what is wrong
            return {**keys, **choices, "options": given}
        options |= given
    return {**keys, **choices, "options": options}


def parse_recipe(raw: Mapping[str, Any], source: str) -> Recipe:
    """Check every value and return the recipe; ``source`` names it in errors.

    Raises:
        ValueError: a key is unknown or missing, or a value is out of range
        FileNotFoundError: the file of a matrix does not exist
    """
    refuse_old_names(Recipe, raw, source)
    recipe = read_dataclass(Recipe, raw, source)
    options = {}
    for name, value in recipe.options.items():
        options[name] = _read_matrix(value, f"{source}: option {name}")
    return replace(recipe, options=options)


def recorded_choices(recipe: Recipe) -> dict[str, Any]:
    """Return the choices of a recipe that decide a plan: what the card of a build says of it."""
    return {name: getattr(recipe, name) for name in RECORDED}


def storage_choices(recipe: Recipe) -> dict[str, Any]:
    """Return the choices of a recipe that say how images are stored, the same for a whole build."""
    return {name: getattr(recipe, name) for name in keys_of_kind(Recipe, STORAGE)}


def config_name(
    recipe: Recipe,
    level: int | None,
    defaults: Mapping[str, Any],
    always: Collection[str] = frozenset(),
) -> str:
    """Name one level: ``red_40``, then what differs from the defaults.

    Options of the noise model come first. An option shows as its value (a word), its initial and
    value (a number), or its last word (true); one whose default is a share, from 0 to 1, in
    percent; a matrix as six digits of its digest. The other choices follow, in the order of their
    declaration.

    Args:
        recipe: the choices
        level: percent; none of noise that has none
        defaults: options of the noise model
        always: options that show even where they have their default
    """
    parts = [recipe.noise]
    if level is not None:
        parts.append(f"{level:02d}")
    for name, default in sorted(defaults.items()):
        value = recipe.options.get(name, default)
        if value != default or name in always:
            parts.append(_short_option(name, value, default))
    for name, declared in declared_keys(Recipe).items():
        value = getattr(recipe, name)
        if declared.in_name and value != declared.default:
            parts.append(declared.in_name(value))
    return "_".join(parts)


def name_without_level(config: str, noise: str, level: int | None) -> str:
    """Return what the configs of all levels are called: ``blue_probe10`` of ``blue_40_probe10``."""
    begin = f"{noise}_{level:02d}" if level is not None else noise
    return noise + config.removeprefix(begin) if config.startswith(begin) else config


def _read_matrix(value: Any, source: str) -> Any:
    """Return the value of an option; a matrix, or a .csv or .npy file of one, as lists of floats.

    Raises:
        ValueError: rows that are not numbers, or not all of one length
        FileNotFoundError: there is no such file
    """
    is_file = isinstance(value, str) and value.endswith((".csv", ".npy"))
    is_rows = isinstance(value, list) and any(isinstance(row, list) for row in value)
    if not is_file and not is_rows:
        return value
    import numpy as np

    from cnlw_tools.files.arrays import read_matrix

    remedy = "give a matrix as rows of numbers, all of one length"
    try:
        with translate_errors(value if is_file else "its rows", "a matrix", remedy):
            matrix = read_matrix(Path(value), remedy) if is_file else np.array(value)
            return np.atleast_2d(matrix.astype(np.float64)).tolist()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{source}: there is no file {value}: correct the path, or write the matrix there"
        ) from None
    except BadFile as error:
        raise BadFile(f"{source}: {error}") from error


def _short_option(name: str, value: Any, default: Any) -> str:
    """Return an option of a noise model as it stands in the name of a config."""
    if isinstance(value, bool):
        word = name.split("_")[-1]
        return word if value else f"no-{word}"
    if isinstance(default, float):
        factor = 100 if 0 <= default <= 1 else 1
        return f"{name[0]}{value * factor:g}"
    if isinstance(value, int | float):
        return f"{name[0]}{value}"
    if isinstance(value, list):
        import numpy as np  # takes a while, which `cnlw --help` need not wait for

        return sha256(np.array(value, "<f8").tobytes()).hexdigest()[:6]
    return plain_name(value)
