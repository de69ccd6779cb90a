"""The command that comes next on the way from a crawl to red noise, ready to be copied.

    new or import candidates, fetch, votes annotate or votes import, votes report, build, validate

Each of these commands prints the next one with all options that it needs. The image store and the
folder of photographs are found where earlier commands left them, if they are not given.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cnlw_tools.ingest.crawl_status import CrawlStatus


@dataclass(frozen=True, slots=True)
class Project:
    """What the commands on a dataset share."""

    dataset: str
    root: Path | str | None = None  # None: the package's
    data_dir: Path | str | None = None
    store: Path | str | None = None

    def command(self, *words: str, takes: tuple[str, ...] = ("root", "store", "data_dir")) -> str:
        """Return a command on the dataset; ``takes`` names the options that it has."""
        parts = ["cnlw", *words, "--dataset", self.dataset]
        for name in takes:
            value = getattr(self, name)
            if value is not None:
                parts += [f"--{name.replace('_', '-')}", str(value)]
        return shlex.join(parts)

    def fetch_command(self, *options: str) -> str:
        """Return the command that fetches the candidates, with further options at its end."""
        from cnlw_tools.store.store import usual_store

        is_usual = self.store in (None, usual_store(self.dataset))
        command = self.command("fetch", takes=("root",) if is_usual else ("root", "store"))
        return " ".join([command, *options])


def find_project(
    dataset: str,
    root: Path | str | None,
    data_dir: Path | str | None = None,
    store: Path | str | None = None,
) -> Project:
    """Return where the tables and images of a dataset are, as given or as earlier commands say.

    Raises:
        ValueError: the file that says where the photographs are is damaged
    """
    from cnlw_tools.ingest.places import find_data_dir
    from cnlw_tools.store.store import is_store, usual_store

    if data_dir is None and isinstance(root, Path):
        data_dir = find_data_dir(dataset, root)
    if store is None and is_store(usual_store(dataset)):
        store = usual_store(dataset)
    return Project(dataset, root, data_dir, store)


def count_short(project: Project, status: "CrawlStatus", n_votes: int) -> tuple[int, int]:
    """Return how many candidates have so many votes of yes and no, and how many have fewer.

    Only candidates count about which people are asked.
    """
    from cnlw_tools.browser.asked import find_asked
    from cnlw_tools.ingest.label_studio import count_answers

    web, votes = status.dataset.web, status.dataset.votes
    is_asked = find_asked(web, votes, project.store).is_asked
    n_decisive = count_answers(web, votes)[:, :2].sum(1)
    n_short = int((is_asked & (n_decisive < n_votes)).sum())
    return int(is_asked.sum()) - n_short, n_short


def choose_next(project: Project, status: "CrawlStatus", n_short: int, level: int = 0) -> str:
    """Return the command that comes next.

    Args:
        project: where the tables and images are
        status: how far the dataset is
        n_short: candidates that lack votes
        level: that is wanted, in percent; 0: the highest level of the benchmark
    """
    if not len(status.dataset.web):
        return import_command(project)
    fetch_command = _fetch_command(project, status)
    if fetch_command is not None:
        return fetch_command
    if status.levels is None:
        return f"{project.command('status', takes=('root', 'store'))} --data-dir DIR"
    goal = level or status.benchmark_level
    if 0 < goal <= int(status.levels.min()):
        return _build_or_check(project, status, goal)
    if n_short:
        return project.command("votes", "annotate")
    return import_command(project)


def _fetch_command(project: Project, status: "CrawlStatus") -> str | None:
    """Return the command that fetches, or says why nothing was fetched; None if images are there.

    What comes with the package needs no image store.
    """
    if status.fetched is None:
        return None if project.root is None else project.fetch_command()
    if status.fetched.untried:
        return project.fetch_command()
    return None if status.fetched.ok else project.fetch_command("--report")


def import_command(project: Project) -> str:
    """Return the command that adds candidates of a list."""
    parts = ["cnlw", "import", "candidates", "FILE.csv", "--as", project.dataset]
    if project.root is not None:
        parts += ["--root", str(project.root)]
    return shlex.join(parts)


def _build_or_check(project: Project, status: "CrawlStatus", level: int) -> str:
    """Return the command that builds a level, or that checks the build if it is there."""
    from dataclasses import replace

    from cnlw_tools.plans.plan import config_name

    recipe = status.recipe
    words = ["--noise", "red", "--level", str(level)]
    if status.needs_top(level):
        words += ["-o", f"top={level}"]
        recipe = replace(recipe, options={**recipe.options, "top": level})
    folder, configs = _find_build(status)
    if config_name(recipe, level) in configs:
        return validate_command(folder, project.data_dir, project.store)
    if folder != Path("builds") / project.dataset:
        words += ["--out", str(folder)]
    return f"{project.command('build')} {shlex.join(words)}"


def validate_command(
    build: Path | str,
    data_dir: Path | str | None,
    store: Path | str | None,
    donors: Sequence[str] = (),
) -> str:
    """Return the command that checks a build against the images that it was made from."""
    parts = ["cnlw", "validate", str(build)]
    for option, value in {"--data-dir": data_dir, "--store": store}.items():
        if value is not None:
            parts += [option, str(value)]
    for donor in donors:
        parts += ["--donor", donor]
    return shlex.join(parts)


def _find_build(status: "CrawlStatus") -> tuple[Path, list[str]]:
    """Return the folder for a build of the tables as they are now, and the configs that it has.

    It is builds/NAME, or builds/NAME_2 and so on where other tables were built before.
    """
    name = status.recipe.dataset
    digests = {name: digest for name, digest in status.dataset.digests.items() if name != "web"}
    for number in count(1):
        folder = Path("builds") / (name if number == 1 else f"{name}_{number}")
        tables, configs = _read_build(folder)
        if all(tables.get(table, digest) == digest for table, digest in digests.items()):
            break
    return folder, configs


def _read_build(folder: Path) -> tuple[Mapping[str, str], list[str]]:
    """Return the digests of the tables of a build, and its configs; nothing if there is none."""
    from cnlw_tools.card.metadata import CARD, read_card

    if not (folder / CARD).exists():
        return {}, []
    card = read_card(folder)
    return card.tables, list(card.configs)


def loading_call(place: Path | str, config: str) -> str:
    """Return the call that loads a config of a build; a long one is written over several lines."""
    from cnlw_tools.executor.progress import LINE_WIDTH
    from cnlw_tools.files.storage import is_address

    function = "cnlw_tools.load_dataset" if is_address(place) else "load_dataset"
    call = f'{function}("{place}", "{config}")'
    if len(call) <= LINE_WIDTH:
        return call
    return f'{function}(\n    "{place}",\n    "{config}",\n)'


def print_next(command: str) -> None:
    """Print the next command in a line of its own, without blanks before it."""
    click.echo("next:")
    click.echo(command)
