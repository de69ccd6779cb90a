"""The command that comes next on the way from a crawl to red noise, ready to be copied.

    new or import candidates, fetch, votes annotate or votes import, votes report, build, validate

Each of these commands prints the next one with all options that it needs. The image store and the
folder of photographs are found where earlier commands left them, if they are not given.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.browser.asked import AskedCandidates
    from cnlw_tools.card.metadata import ConfigCard
    from cnlw_tools.ingest.crawl_status import CrawlStatus

UNANSWERED = ("connect", "timeout", "unreachable")  # outcomes that may be other ones tomorrow
NEARLY_ALL = 0.9  # the share of the candidates from which the network or a server seems at fault


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


def read_status(project: Project, data_dir: Path | str | None) -> "CrawlStatus":
    """Return how far the dataset of a project is, by the images that a build of it may use.

    Args:
        project: where the tables and images are
        data_dir: the images, if the user named them; none: they only say which candidates are
            copies of validation images

    Raises:
        LookupError, ValueError, OSError: see `read_crawl_status`
    """
    from cnlw_tools.cli.options import find_root
    from cnlw_tools.files.mirror import local_copy
    from cnlw_tools.ingest.crawl_status import read_crawl_status

    photographs = None if project.data_dir is None else local_copy(project.data_dir)
    return read_crawl_status(
        project.dataset,
        find_root(project.root),
        None if data_dir is None else photographs,
        project.store,
        photographs,
    )


class Voting(NamedTuple):
    """How far people are with the candidates about which they are asked."""

    asked: "AskedCandidates"
    n_enough: int  # have the votes of yes and no that they should have
    n_short: int  # have fewer


def count_voting(project: Project, status: "CrawlStatus", n_votes: int) -> Voting:
    """Return how far people are, if each candidate should have so many votes of yes and no."""
    from cnlw_tools.browser.asked import find_asked
    from cnlw_tools.ingest.label_studio import count_answers

    web, votes = status.dataset.web, status.dataset.votes
    candidates = find_asked(web, votes, project.store)
    n_decisive = count_answers(web, votes)[:, :2].sum(1)
    n_short = int((candidates.is_asked & (n_decisive < n_votes)).sum())
    return Voting(candidates, int(candidates.is_asked.sum()) - n_short, n_short)


def choose_next(
    project: Project, status: "CrawlStatus", n_short: int, n_votes: int, level: int = 0
) -> list[str]:
    """Return the command that comes next, and lines with what else is possible.

    Args:
        project: where the tables and images are
        status: how far the dataset is
        n_short: candidates that lack votes
        n_votes: that each candidate should have
        level: that is wanted, in percent; 0: any level
    """
    if not len(status.dataset.web):
        return [import_command(project)]
    fetch_lines = _fetch_lines(project, status)
    if fetch_lines:
        return fetch_lines
    if status.levels is None:
        return [f"{project.command('status', takes=('root', 'store'))} --data-dir DIR"]
    vote_command = project.command("votes", "annotate")
    if 0 < (level or status.benchmark_level) <= int(status.levels.min()):
        lines = _build_or_check(project, status, level)
        if n_short:
            n_candidates = count_things(n_short, "candidate")
            lines += [f"or go on voting on {n_candidates} with fewer than {n_votes} votes:"]
            lines += [vote_command]
        return lines
    return [vote_command] if n_short else [import_command(project)]


def _fetch_lines(project: Project, status: "CrawlStatus") -> list[str]:
    """Return the command that fetches, and what else is possible; nothing if images are there.

    What comes with the package needs no image store.
    """
    fetched = status.fetched
    if fetched is None:
        return [] if project.root is None else [project.fetch_command()]
    allow_private = ["--allow-private"] if fetched.has_private_answers else []
    if fetched.untried:
        return [project.fetch_command(*allow_private)]
    if fetched.has_private_answers and fetched.has_private_refusals:
        return [project.fetch_command("--allow-private", "--retry", "refused")]
    return fetch_again(project, fetched.outcomes, fetched.has_private_answers)


def fetch_again(project: Project, outcomes: Mapping[str, int], allow_private: bool) -> list[str]:
    """Return what is to be done about candidates without an image; nothing if enough have one.

    Args:
        project: whose candidates were all tried
        outcomes: how many candidates have each outcome
        allow_private: whether addresses on a private network were requested
    """
    n_unanswered = sum(outcomes.get(outcome, 0) for outcome in UNANSWERED)
    n_all = sum(outcomes.values())
    if outcomes.get("refused") and not outcomes.get("ok") and not allow_private:
        return [project.fetch_command("--allow-private", "--retry", "refused")]
    if n_unanswered and n_unanswered >= NEARLY_ALL * n_all:
        options = ["--allow-private"] if allow_private else []
        return [
            project.fetch_command(*options, "--retry", "failed"),
            "or, if these sites are gone, add other candidates:",
            import_command(project),
        ]
    return [] if outcomes.get("ok") else [import_command(project)]


def import_command(project: Project) -> str:
    """Return the command that adds candidates of a list."""
    parts = ["cnlw", "import", "candidates", "FILE.csv", "--as", project.dataset]
    if project.root is not None:
        parts += ["--root", str(project.root)]
    return shlex.join(parts)


def _build_or_check(project: Project, status: "CrawlStatus", level: int) -> list[str]:
    """Return the command that builds a level, or those that check and load the build.

    If no level is wanted, any red noise in the build will do.
    """
    from dataclasses import replace

    from cnlw_tools.plans.plan import config_name

    recipe = status.recipe
    goal = level or status.benchmark_level
    words = ["--noise", "red", "--level", str(goal)]
    if status.needs_top(goal):
        words += ["-o", f"top={goal}"]
        recipe = replace(recipe, options={**recipe.options, "top": goal})
    folder, configs = find_build(status)
    built_configs = [config for config in configs if config == config_name(recipe, goal)]
    if not level:
        built_configs = red_configs(configs)
    if built_configs:
        check = validate_command(folder, project.data_dir, project.store)
        return [check, "then load the training set:", *loading_lines(folder, built_configs)]
    if folder != Path("builds") / project.dataset:
        words += ["--out", str(folder)]
    lines = [f"{project.command('build')} {shlex.join(words)}"]
    if not level:
        lines.append(
            f"--level may be lower: {goal} % is the highest published level that all classes reach"
        )
    return lines


def red_configs(configs: Mapping[str, "ConfigCard"]) -> list[str]:
    """Return the names of the configs with red noise, the lowest level first."""
    levels = {}
    for name, config in configs.items():
        if config.recipe.noise == "red" and config.level:
            levels[name] = config.level
    return sorted(levels, key=lambda name: levels[name])


def loading_lines(place: Path | str, configs: Sequence[str]) -> list[str]:
    """Return the import and the call that load the last of some configs, and name the others."""
    from cnlw_tools.files.storage import is_address

    statement = "import cnlw_tools" if is_address(place) else "from datasets import load_dataset"
    lines = [statement, loading_call(place, configs[-1])]
    if len(configs) > 1:
        lines.append(f"other configs: {', '.join(configs[:-1])}")
    return lines


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


def find_build(status: "CrawlStatus") -> tuple[Path, Mapping[str, "ConfigCard"]]:
    """Return the folder for a build of the tables as they are now, and the configs that it has.

    It is builds/NAME, or builds/NAME_2 and so on where other tables were built before.
    """
    *_, last = _build_folders(status)
    return last


def find_red_build(status: "CrawlStatus") -> tuple[Path, list[str], bool]:
    """Return a build with red noise, its configs, and whether its tables are those of now.

    Of several builds, the last one counts. Without such a build, there are no configs.
    """
    folders = list(_build_folders(status))
    for folder, configs in reversed(folders):
        names = red_configs(configs)
        if names:
            return folder, names, folder == folders[-1][0]
    return folders[-1][0], [], True


def _build_folders(status: "CrawlStatus") -> Iterator[tuple[Path, Mapping[str, "ConfigCard"]]]:
    """Yield the folders of builds with their configs; the last has the tables as they are now."""
    name = status.recipe.dataset
    digests = {name: digest for name, digest in status.dataset.digests.items() if name != "web"}
    for number in count(1):
        folder = Path("builds") / (name if number == 1 else f"{name}_{number}")
        tables, configs = _read_build(folder)
        yield folder, configs
        if all(tables.get(table, digest) == digest for table, digest in digests.items()):
            return


def _read_build(folder: Path) -> tuple[Mapping[str, str], Mapping[str, "ConfigCard"]]:
    """Return the digests of the tables of a build, and its configs; nothing if there is none."""
    from cnlw_tools.card.metadata import CARD, read_card

    if not (folder / CARD).exists():
        return {}, {}
    card = read_card(folder)
    return card.tables, card.configs


def loading_call(place: Path | str, config: str) -> str:
    """Return the call that loads a config of a build; a long one is written over several lines."""
    from cnlw_tools.executor.progress import LINE_WIDTH
    from cnlw_tools.files.storage import is_address

    function = "cnlw_tools.load_dataset" if is_address(place) else "load_dataset"
    call = f'{function}("{place}", "{config}")'
    if len(call) <= LINE_WIDTH:
        return call
    return f'{function}(\n    "{place}",\n    "{config}",\n)'


def print_next(command: str, *others: str) -> None:
    """Print the next command, and lines on what else is possible, all without blanks before."""
    click.echo("next:")
    for line in (command, *others):
        click.echo(line)
