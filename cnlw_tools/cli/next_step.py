"""The command that comes next on the way from a crawl to red noise, ready to be copied.

    new or import candidates, fetch, votes annotate or votes import, votes report, build, validate

Each of these commands prints the next one with all options that it needs. The image store and the
folder of photographs are found where earlier commands left them, if they are not given.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

import click


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

    def fetch_command(self, *words: str) -> str:
        """Return the command that fetches the candidates."""
        from cnlw_tools.store.store import usual_store

        is_usual = self.store in (None, usual_store(self.dataset))
        return self.command("fetch", *words, takes=("root",) if is_usual else ("root", "store"))


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


def print_next(command: str) -> None:
    """Print the next command in a line of its own."""
    click.echo("next:")
    click.echo(f"  {command}")
