"""What a sweep takes from addresses before it plans: what is known of its runs, and its builds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import CARD, BuildCard, config_shards, is_build, read_card
from cnlw_tools.files.mirror import Mirror
from cnlw_tools.files.storage import RemoteFile, RemoteFolder, below, is_address
from cnlw_tools.recipe.run_files import BEST_WEIGHTS, CHECKPOINT, CONFIG, METRICS, RESULT
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.study_file import FAILURE

CLASSES = "tables/classes.csv"


def pull_runs(runs: Sequence[RunSpec], out: Path | str, keep_best: bool) -> set[str]:
    """Copy what a sweep reads of runs below an address: results, and states to resume from.

    Nothing is copied of a run that is being trained in its mirror on this machine, for example by a
    worker of a command that was killed.

    Args:
        runs: of a study
        out: of the runs; nothing is copied from a folder
        keep_best: the best weights have to be there, too

    Returns:
        the names of the runs that are being trained

    Raises:
        OSError: the address cannot be read
    """
    names: set[str] = set()
    if not is_address(out):
        return names
    files_by_run: dict[str, dict[str, RemoteFile]] = {run.name: {} for run in runs}
    for path, file in RemoteFolder(out).list_files().items():
        for run_name in _parents(path):
            if run_name in files_by_run:
                files_by_run[run_name][path.removeprefix(f"{run_name}/")] = file
    for run_name, files in files_by_run.items():
        needed = {CONFIG, METRICS, RESULT, FAILURE}
        needed |= set() if RESULT in files else {CHECKPOINT}
        needed |= {BEST_WEIGHTS} if keep_best else set()
        try:
            _update(Mirror(below(out, run_name)), files, needed)
        except BlockingIOError:
            names.add(run_name)
    return names


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def pull_builds(runs: Sequence[RunSpec], builds: Path | str) -> None:
    """Copy what a sweep reads of builds below an address: cards, and the first images of configs.

    Args:
        runs: of a study
        builds: folder or address of all builds; nothing is copied from a folder

    Raises:
        OSError, ValueError: the address cannot be read, or a card is damaged
    """
    if not is_address(builds):
        return
    configs: dict[str, set[str]] = {}
    for run in runs:
        configs.setdefault(run.build, set()).add(run.config)
    for name, config_names in configs.items():
        mirror = Mirror(below(builds, name))
        files = mirror.remote.list_files()
        if CARD not in files:
            files = {}  # a part of a build, which the next build takes
        _update(mirror, files, {CARD, CROISSANT, CLASSES})
        if is_build(mirror.folder):
            card = read_card(mirror.folder)
            _update(mirror, files, {CARD, CROISSANT, CLASSES, *_first_shards(card, config_names)})


def _first_shards(card: BuildCard, config_names: set[str]) -> list[str]:
    """Return the shards with which configs begin; all of theirs where images have any size."""
    names: list[str] = []
    has_one_size = card.images.size is not None and card.images.resize != "short"
    for config in config_names & card.configs.keys():
        shards = config_shards(card, config)
        for split_names in [shards["train"][:1]] if has_one_size else shards.values():
            names += [f"data/{name}" for name in split_names]
    return names


def _update(mirror: Mirror, files: Mapping[str, RemoteFile], needed: set[str]) -> None:
    if files or mirror.folder.is_dir():
        with mirror.writing():
            mirror.update(files, needed.__contains__)
