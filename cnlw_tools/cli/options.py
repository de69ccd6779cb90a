"""Options that several commands share, and how they become a recipe."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cnlw_tools.recipe.inputs import Inputs
    from cnlw_tools.recipe.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])

ROOT = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of manifests/, annotations/, pipelines/.",
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes.  [default: one for each processor]",
)
DECODE_THREADS = click.option(
    "--decode-threads",
    type=click.IntRange(1),
    help="Threads that decode images.  [default: one for each processor]",
)
SEED = click.IntRange(0, 2**63 - 1)  # what torch takes
DONOR = click.option(
    "--donor",
    "donors",
    multiple=True,
    metavar="NAME[=DIR]",
    help="Dataset whose images some noise brings in, and where they lie; white: noise. May come again.",
)
STORE = click.option(
    "--store", type=click.Path(path_type=Path), help="Web images, as `cnlw fetch` keeps them."
)
WHAT = (
    click.argument("recipe", required=False),
    click.option("--dataset", help="Name of a dataset.  [default: shapes]"),
    click.option("--noise", help="Kind of noise: red, blue; `cnlw list noise`."),
    click.option("--level", help="Percent, 0 to 95, or all of the recipe's.  [default: all]"),
    click.option(
        "--splits",
        help="official: the published lists of a release, read and not drawn.  [default: drawn]",
    ),
    click.option("--seed", type=int, help="Another seed is another draw.  [default: 0]"),
    click.option(
        "-o",
        "options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Option of the noise; may come again.",
    ),
    click.option(
        "--probe",
        type=int,
        help="Images of each class that leave train for a trusted split.  [default: 0]",
    ),
    click.option(
        "--verified",
        type=int,
        help="Images of each class that leave train for a noisy split.  [default: 0]",
    ),
    click.option(
        "--clean",
        type=int,
        help="Images that train is thinned to, classes in proportion.  [default: all]",
    ),
    click.option(
        "--longtail", type=float, help="Thin train until the first class is so many times the last."
    ),
    click.option(
        "--side",
        type=click.Path(),
        help="File of per-image data that some noise asks for: given labels, features.",
    ),
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        help="Where your copy of the images lies; `cnlw list datasets` says what it holds.",
    ),
    DONOR,
    STORE,
    ROOT,
)


def what(command: F) -> F:
    """Add the options that say what to build."""
    for option in reversed(WHAT):
        command = option(command)
    return command


def folder(root: Path | None) -> Path:
    """Return the root to use; the package's own where none is given."""
    from cnlw_tools import files

    if root is not None and not (root / "manifests").is_dir():
        raise FileNotFoundError(
            f"{root}: no folder manifests/ here: give a --root laid out like the project's"
        )
    return root or files.default_root()


def read_recipe(recipe: str | None, root: Path, flags: dict[str, Any]) -> "Recipe":
    """Return the recipe of a file, of a name, or of --dataset and --noise; flags override what it says."""
    from cnlw_tools.recipe import recipe as recipes
    from cnlw_tools.recipe.toml import parse_option, read_toml

    changes = {
        k: flags[k]
        for k in (
            "dataset",
            "noise",
            "splits",
            "seed",
            "probe",
            "verified",
            "clean",
            "longtail",
            "side",
            "size",
            "resize",
            "quality",
            "layout",
        )
        if flags.get(k) is not None
    }
    if flags.get("donors"):
        changes["donors"] = list(_donor_dirs(flags["donors"]))
    path = _path(recipe, root, changes)
    raw = read_toml(path, "recipe") if path else {}
    raw |= changes
    if flags["options"]:
        raw["options"] = {**raw.get("options", {}), **dict(map(parse_option, flags["options"]))}
    if flags["level"] not in (None, "all"):
        raw["levels"] = [_level(flags["level"])]
    return recipes.parse_recipe(
        raw, f"{path} and the options given" if path else "the command line"
    )


def read_inputs(
    root: Path | None,
    data_dir: Path | None,
    donors: tuple[str, ...] = (),
    store: Path | None = None,
) -> "Inputs":
    """Return where tables and images lie."""
    from cnlw_tools.recipe.inputs import Inputs

    return Inputs(folder(root), data_dir, _donor_dirs(donors), store)


def _donor_dirs(donors: tuple[str, ...]) -> dict[str, Path | None]:
    """Return where the images of each donor lie; none where no folder is given."""
    folders: dict[str, Path | None] = {}
    for donor in donors:
        name, _, path = donor.partition("=")
        folders[name] = Path(path) if path else None
    return folders


def _path(recipe: str | None, root: Path, changes: dict[str, Any]) -> Path | None:
    """Return the recipe's file; none where flags say all and no file goes with them."""
    from cnlw_tools.registry import pick, suggest

    if recipe is not None:
        found = Path(recipe) if Path(recipe).is_file() else _named(recipe, root)
        if found is None:
            known = [p.stem for p in (root / "pipelines").glob("*.toml")]
            raise FileNotFoundError(
                f"{recipe}: there is no such recipe.{suggest(recipe, known)} See `cnlw list recipes`"
            )
        return found
    if "noise" not in changes:
        raise ValueError(
            "no noise named: give --noise red or --noise blue, or a recipe; see `cnlw list recipes`"
        )
    from cnlw_tools.dataset import dataset
    from cnlw_tools.noise import NOISE
    from cnlw_tools.sources import SOURCES

    name = changes.setdefault("dataset", "shapes")
    pick(dict.fromkeys([*dataset.list_datasets(root), *SOURCES]), name, "dataset")
    pick(NOISE, changes["noise"], "noise")
    return _named(f"{name}_{changes['noise']}", root)


def _named(name: str, root: Path) -> Path | None:
    """Return the recipe of a name: the root's, or else the one that comes with the package."""
    from cnlw_tools import files

    paths = [place / "pipelines" / f"{name}.toml" for place in (root, files.default_root())]
    return next((path for path in paths if path.is_file()), None)


def _level(text: str) -> int:
    from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, HIGHEST_LEVEL
    from cnlw_tools.registry import suggest

    if not text.isdecimal() or int(text) > HIGHEST_LEVEL:
        near = suggest(text, [*map(str, BENCHMARK_LEVELS), "all"])
        raise ValueError(
            f"unknown level {text!r}.{near} Give a whole percent from 0 to {HIGHEST_LEVEL}, or all"
        )
    return int(text)
