"""Options that several commands share, and how they become a recipe.

An option that stands for a key of a recipe or a preset is made from the declaration of that key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.storage import RemoteFolder, is_address, local_path
from cnlw_tools.recipe.keys import INPUT, LEVEL, PLAN, STORAGE, Key, declared_keys
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL, Recipe
from cnlw_tools.recipe.toml import parse_option
from cnlw_tools.registry import suggest

if TYPE_CHECKING:
    from cnlw_tools.recipe.inputs import Inputs

DEFAULT_TEXTS = {"noise": "the recipe's"}  # where a recipe may give what the key requires

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


class LocalPath(click.Path):
    """The type of an option that is a path of this machine."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            ValueError: it is empty, or an address of a storage
        """
        _reject_empty(value)
        return super().convert(local_path(value), param, ctx)


class PathOrAddress(click.Path):
    """The type of an option that is a path of this machine, or an address of a storage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.dir_okay:
            self.name = "path"  # click's "directory" would exclude an address

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or the address as a text.

        Raises:
            ValueError, ModuleNotFoundError: it is empty, or no storage is served under this address
        """
        _reject_empty(value)
        if is_address(value):
            return RemoteFolder(value).address
        return super().convert(value, param, ctx)


def _reject_empty(value: Any) -> None:
    """Raise if a path is empty, which would mean the current folder.

    Raises:
        ValueError: it is, as where a variable of a shell is not set
    """
    if str(value) == "":
        raise ValueError("the path is empty: give a folder or a file, or omit the option")


def key_option(cls: type, name: str, default_text: str = "") -> Decorator[Any]:
    """Return the option that a key of a recipe or a preset declares.

    Args:
        cls: the dataclass
        name: of the key
        default_text: what the help calls the default, where that is not the declared one
    """
    declared = declared_keys(cls)[name]
    default = default_text or default_of(declared)
    text = f"{declared.help}  [default: {default}]" if default else declared.help
    return click.option(
        declared.option,
        name,
        help=text,
        metavar=declared.metavar or None,
        **_option_type(get_type_hints(cls)[name], declared),
    )


def default_of(declared: Key) -> str:
    """Return the default of a key in words; an empty text says that it is required."""
    if declared.default_text:
        return declared.default_text
    default = declared.default
    if default is MISSING or isinstance(default, bool) or (default != 0 and not default):
        return ""
    return str(default)


def _option_type(hint: Any, declared: Key) -> dict[str, Any]:
    """Return what click has to know of the type of a key."""
    if hint is bool:
        return {"is_flag": True, "default": None}
    if declared.check and declared.check.words:
        return {"type": click.Choice(declared.check.words)}
    if get_origin(hint) is UnionType:
        hint = get_args(hint)[0]
    if hint in (int, float, str):
        return {"type": hint}
    return {"type": str, "multiple": declared.kind != LEVEL}


ROOT = click.option(
    "--root",
    type=PathOrAddress(file_okay=False, path_type=Path),
    help="Folder or address of your tables and recipes; they override those of the package.  "
    "[default: none]",
)
NEW_TABLES_ROOT = click.option(
    "--root",
    type=PathOrAddress(file_okay=False, path_type=Path),
    default=".",
    help="Folder or address at which to write manifests/.  [default: .]",
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Number of worker processes.  [default: one for each processor]",
)
ENGINE = click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="ENGINE",
    help="Where to run the work: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT.",
)
SHARD = click.option(
    "--shard",
    metavar="I/N",
    help="Divide the work into N parts, and do only part I.  [default: all of it]",
)
DECODE_THREADS = click.option(
    "--decode-threads",
    type=click.IntRange(1),
    metavar="N",
    help="Number of threads that decode images.  [default: one for each processor]",
)
CACHE = click.option(
    "--cache",
    type=LocalPath(file_okay=False, path_type=Path),
    help="Folder for decoded pixels.  [default: $CNLW_CACHE, or ~/.cache/cnlw_tools]",
)
DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device to compute on: cpu, cuda or auto.",
)
DATA_DIR = click.option(
    "--data-dir",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of your copy of the images; see `cnlw list datasets`.  [default: none]",
)
STORE = click.option(
    "--store",
    type=PathOrAddress(path_type=Path),
    help="Store of web images, from `cnlw fetch` or `cnlw store pack`.  [default: none]",
)
HOST = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address of this computer at which to serve the page.",
)
PORT = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port at which to serve the page.  [default: one that is free]",
)
DONOR = key_option(Recipe, "donors")
ONE_LEVEL = click.option(
    "--level",
    "levels",
    metavar="PERCENT",
    help="Level of noise in percent, from 0 to 95.  [default: the recipe's, if it has only one]",
)
RECIPE = click.argument("recipe_name", metavar="[RECIPE]", required=False)
PRESET = click.option(
    "--preset",
    metavar="NAME",
    help="Preset that says how to train: its name, or a .toml file.  [default: the dataset's]",
)
KEEP_BEST = click.option(
    "--keep-best",
    is_flag=True,
    help="Save the weights of the epoch with the best validation accuracy in best.pt.",
)
SEED = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),  # what torch takes
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the run.",
)


def preset_options(command: F) -> F:
    """Add the options that override a preset: all that errors of training name as remedies."""
    options = []
    for name, declared in declared_keys(Preset).items():
        if declared.option:
            options.append(key_option(Preset, name, default_text="the preset's"))
    return _add_options(options, command)


def pop_preset_changes(flags: dict[str, Any]) -> dict[str, Any]:
    """Take the values that override a preset out of the flags of a command, by key."""
    changes = {}
    for name, declared in declared_keys(Preset).items():
        if declared.option and name in flags:
            changes[name] = flags.pop(name)
    return changes


def recipe_options(command: F) -> F:
    """Add the options that say what to plan."""
    kinds = (PLAN, LEVEL, INPUT)
    return _add_options([RECIPE, *_options_of_kind(kinds), DATA_DIR, STORE, ROOT], command)


def plan_options(command: F) -> F:
    """Add the options that say what to plan, with a single level."""
    options = _options_of_kind((PLAN, LEVEL, INPUT), {"levels": ONE_LEVEL})
    return _add_options([RECIPE, *options, DATA_DIR, STORE, ROOT], command)


def storage_options(command: F) -> F:
    """Add the options that say how images are stored."""
    return _add_options(_options_of_kind((STORAGE,)), command)


def _options_of_kind(
    kinds: Iterable[str], replaced: Mapping[str, Decorator[Any]] = {}
) -> list[Decorator[Any]]:
    options = []
    for name, declared in declared_keys(Recipe).items():
        if declared.option and declared.kind in kinds:
            option = key_option(Recipe, name, DEFAULT_TEXTS.get(name, ""))
            options.append(replaced.get(name, option))
    return options


def _add_options(options: list[Decorator[Any]], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


class GuessingCommand(click.Command):
    """A command that answers words too many with the options that they may stand for.

    If --level is given twice, this is an error, since only the last one would count.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of the command line.

        Raises:
            click.UsageError: an option or a word too many
            ValueError: --level is given twice
        """
        words = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            if "extra argument" not in error.message:
                raise
            raise click.UsageError(error.message + self._guess(words), error.ctx) from error
        self._reject_second_level(ctx, words)
        return rest

    def _reject_second_level(self, ctx: click.Context, words: list[str]) -> None:
        """Raise if --level is given several times.

        Raises:
            ValueError: it is
        """
        _, _, parameters = self.make_parser(ctx).parse_args(words)
        n_levels = [parameter.opts[0] for parameter in parameters].count("--level")
        if n_levels > 1:
            message = f"--level is given {n_levels} times: give a list, such as --level 0,40"
            raise ValueError(message)

    def _guess(self, words: Sequence[str]) -> str:
        """Return the question whether some options were meant, if this command has them all."""
        options = guess_options(words)
        own_options: set[str] = set()
        for parameter in self.params:
            own_options.update(parameter.opts)
        if not options or not own_options.issuperset(options):
            return ""
        texts = [f"{option} {value}" for option, value in options.items()]
        return f". Did you mean {' '.join(texts)}?"


def guess_options(words: Sequence[str]) -> dict[str, str]:
    """Return the options that words such as ``shapes red 40`` stand for; none if one does not."""
    from cnlw_tools.dataset.dataset import has_dataset
    from cnlw_tools.files import default_root
    from cnlw_tools.noise import NOISE

    options = {}
    for word in words:
        if word in NOISE:
            options["--noise"] = word
        elif word == "all" or word.replace(",", "").isdecimal():
            options["--level"] = word
        elif has_dataset(word, default_root()):
            options["--dataset"] = word
        else:
            return {}
    return options


def check_ending(place: Path | str, ending: str, content: str) -> None:
    """Check the name of a file that is to be written.

    Args:
        place: the path, or the address, of the file
        ending: that its name must have, such as ``.png``
        content: what the file will hold, in the plural

    Raises:
        ValueError: the name has another ending, which promises another format
    """
    path = Path(place)
    if path.suffix.lower() != ending:
        name = path.with_suffix(ending).name
        raise ValueError(f"{place}: {content} are written as a {ending} file: name it {name}")


def find_root(root: Path | str | None) -> Path:
    """Return the root to use; the package's own where none is given.

    Raises:
        FileNotFoundError: the folder given holds nothing that is looked up below a root
    """
    from cnlw_tools.files.roots import require_root

    return require_root(root)


def read_inputs(
    root: Path | str | None,
    data_dir: Path | str | None,
    donors: tuple[str, ...] = (),
    store: Path | str | None = None,
) -> "Inputs":
    """Return where tables and images lie."""
    from cnlw_tools.recipe.inputs import Inputs

    return Inputs(
        root=find_root(root),
        data_dir=_copy_if_given(data_dir),
        donors={name: _copy_if_given(place) for name, place in _donor_places(donors).items()},
        store=store,
    )


def _copy_if_given(place: Path | str | None) -> Path | None:
    return local_copy(place) if place is not None else None


def read_recipe_flags(name: str | None, root: Path, flags: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a file, of a name, or of --dataset and --noise.

    Args:
        name: a file, or the name of a recipe
        root: the folder of pipelines/
        flags: values of options by key; they override what the file says

    Raises:
        ValueError, LookupError, OSError: with value, place and remedy
    """
    from cnlw_tools.ingest.recipes import resolve_recipe
    from cnlw_tools.recipe.inputs import Inputs

    return resolve_recipe(name, _changed_keys(flags), Inputs(root))


def _changed_keys(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a recipe that are given as options, with the values of a recipe."""
    changes = {}
    for name, declared in declared_keys(Recipe).items():
        value = flags.get(name)
        if declared.option and value not in (None, ()):
            changes[name] = READERS[name](value) if name in READERS else value
    if changes.get("levels") == "all":
        del changes["levels"]
    return changes


def read_levels(text: str) -> list[int] | Literal["all"]:
    """Return the levels that a text such as ``40`` or ``0,40`` lists, or "all".

    Raises:
        ValueError: the text lists something else
    """
    if text == "all":
        return "all"
    return [_read_percent(word.strip()) for word in text.split(",")]


def read_level(text: str) -> int:
    """Return the level that a text such as ``40`` says, where there can be only one.

    Raises:
        ValueError: the text says several levels, or something else
    """
    levels = read_levels(text)
    if levels == "all" or len(levels) > 1:
        raise ValueError(
            f"--level {text}: a run trains on one level: give one, such as --level 40, or list "
            "the levels in a study, for `cnlw sweep`"
        )
    return int(levels[0])


def _read_percent(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_LEVEL:
        guess = _suggest_percent(text) or suggest(text, ["all"])
        raise ValueError(
            f"unknown level {text!r}.{guess} Give a whole percent from 0 to {HIGHEST_LEVEL}, "
            "a list such as 0,40, or all"
        )
    return int(text)


def _suggest_percent(text: str) -> str:
    """Return a guess where somebody wrote a share, such as 0.4, or a sign, such as 40%."""
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        return ""
    percent = 100 * number if 0 < number < 1 else number
    rounded = round(percent)
    is_whole = abs(percent - rounded) < 1e-9 and 0 <= rounded <= HIGHEST_LEVEL
    return f" Did you mean '{rounded}'?" if is_whole else ""


def _read_options(texts: tuple[str, ...]) -> dict[str, Any]:
    return dict(map(parse_option, texts))


def _donor_places(donors: tuple[str, ...]) -> dict[str, str | None]:
    """Return the folder or the address of the images of each donor, if one is given."""
    places: dict[str, str | None] = {}
    for donor in donors:
        name, _, place = donor.partition("=")
        places[name] = place or None
    return places


def _donor_names(donors: tuple[str, ...]) -> list[str]:
    return list(_donor_places(donors))


# keys whose option is written otherwise than their value in a recipe
READERS: Mapping[str, Callable[[Any], Any]] = {
    "levels": read_levels,
    "options": _read_options,
    "donors": _donor_names,
}
