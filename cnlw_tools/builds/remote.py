"""A build at an address such as ``s3://bucket/shapes``.

It is made in the mirror of the address. Each shard is put when it is complete, the card last: who
reads the address sees no build, the old one, or the new one. What a killed build has put is there
for the next one, which takes it into the mirror, as a build on this machine takes what it finds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cnlw_tools.builds.build import BuildSummary, Published, ShardSummary, build, build_shard
from cnlw_tools.builds.segments import SHARD_NAME
from cnlw_tools.builds.staging import is_of_build, is_record
from cnlw_tools.builds.work_shards import read_records
from cnlw_tools.card.metadata import CARD, DRAFT_SUFFIX, is_build
from cnlw_tools.card.remote import published_folder
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.files.drafts import DAY
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.mirror import Mirror, local_copy, remove_folder
from cnlw_tools.files.storage import RemoteFile, is_address
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe

RemoteFiles = Mapping[str, RemoteFile]


def build_at(
    recipe: Recipe,
    inputs: Inputs,
    out: Path | str,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    joined_folders: Sequence[Path | str] = (),
    previous: Path | str | None = None,
    published: Published | None = None,
) -> BuildSummary:
    """Build every level of a recipe into a folder of this machine, or at an address.

    Args:
        recipe, inputs, executor, progress, published: as for `build`
        out: the folder, or the address
        joined_folders: where `build_shard` wrote files of this build, or addresses
        previous: the folder of an earlier build, or its address

    Raises:
        ValueError, LookupError, OSError: as for `build`; or nothing can be written at the address,
            or something other than a build is there
    """
    folder = None if previous is None else published_folder(previous, progress)
    joined = [local_copy(joined_folder, progress=progress) for joined_folder in joined_folders]
    build_in = partial(
        build,
        recipe,
        inputs,
        executor=executor,
        joined_folders=joined,
        published=published,
        previous=folder,
    )
    if is_address(out):
        return _build_remotely(build_in, out, progress)
    return build_in(Path(out), progress=progress)


def _build_remotely(
    build_in: Callable[..., BuildSummary], address: Path | str, progress: Progress
) -> BuildSummary:
    """Build at an address.

    Args:
        build_in: builds in the folder that it is given
        address: of the build
        progress: is told how many rows are written, and how many files are put

    Raises:
        ValueError, LookupError, OSError: as for `build_at`
    """
    mirror = Mirror(address)
    with mirror.writing():
        remote_files = mirror.remote.list_files()
        _require_build(mirror, remote_files)
        mirror.remote.check_writable()
        folder = _prepare_folder(mirror, remote_files)
        mirror.pull(remote_files, folder, progress=progress)
        if CARD in remote_files and not is_build(folder):
            raise FileExistsError(
                f"{mirror.remote.address}: its {CARD} is not the card of a build: use another "
                "--out, or delete this file there with the tool of the storage service"
            )

        def put_shards(stage: str, done: int, total: int) -> None:
            progress(stage, done, total)
            if stage == "images":
                mirror.push(_complete_names(folder, remote_files), folder)

        summary = build_in(mirror.folder, progress=put_shards)
        _push_build(mirror, remote_files, progress)
    return replace(summary, address=mirror.remote.address)


def build_shard_at(
    recipe: Recipe,
    inputs: Inputs,
    out: Path | str,
    work_shard: WorkShard,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> ShardSummary:
    """Write the files of one of several processes into a folder of this machine, or to an address.

    Each process has a mirror of its own, so those of one machine do not wait for each other.

    Args:
        recipe, inputs, work_shard, executor, progress: as for `build_shard`
        out: the folder, or the address

    Raises:
        ValueError, LookupError, OSError: as for `build_shard` and `build_at`
    """
    if not is_address(out):
        return build_shard(recipe, inputs, Path(out), work_shard, executor, progress)
    mirror = Mirror(out, f"shard {work_shard}")
    with mirror.writing():
        remote_files = mirror.remote.list_files()
        _require_build(mirror, remote_files)
        mirror.remote.check_writable()
        folder = _prepare_folder(mirror, remote_files)
        mirror.pull(remote_files, folder, is_record)
        others = set() if CARD in remote_files else _files_of_others(folder, work_shard)
        mirror.pull(remote_files, folder, lambda name: name not in others, progress)

        def put_shards(stage: str, done: int, total: int) -> None:
            progress(stage, done, total)
            if stage == "images":
                records = filter(is_record, list_names(folder))
                mirror.push([*records, *_complete_names(folder, remote_files)], folder)

        summary = build_shard(recipe, inputs, mirror.folder, work_shard, executor, put_shards)
        put_shards("images", 1, 1)
    return summary


def _files_of_others(folder: Path, work_shard: WorkShard) -> set[str]:
    """Return what other processes have written, which this one does not need."""
    names: set[str] = set()
    for record in read_records(folder).values():
        if (record.number, record.count) != (work_shard.number, work_shard.count):
            names.update(f"data/{name}" for name in record.hashes)
    return names


def _require_build(mirror: Mirror, remote_files: RemoteFiles) -> None:
    """Raise FileExistsError if something other than a build is at the address."""
    for name in remote_files:
        if not is_of_build(name):
            raise FileExistsError(
                f"{mirror.remote.address} is not a build, because {name} is there: use another "
                "--out"
            )


def _prepare_folder(mirror: Mirror, remote_files: RemoteFiles) -> Path:
    """Return where the build goes on: in the mirror, or in its draft while there is no card.

    The other one of the two is of an earlier state of the address, and is deleted.
    """
    draft = mirror.folder.with_name(mirror.folder.name + DRAFT_SUFFIX)
    mirror.forget_others(remote_files)
    if CARD in remote_files:
        remove_folder(draft)
        folder = mirror.folder
    else:
        remove_folder(mirror.folder)
        folder = draft
    for name in filter(is_record, list_names(folder)):
        if name not in remote_files:
            (folder / name).unlink()
    return folder


def _complete_names(folder: Path, remote_files: RemoteFiles) -> list[str]:
    """Return the files that may be put before the build is complete: tables, then shards.

    If there is a card, the tables at the address are those of that build, and are put with the new
    card.
    """
    tables = [] if CARD in remote_files else list_names(folder / "tables")
    shards = [name for name in list_names(folder / "data") if SHARD_NAME.fullmatch(name)]
    return [f"tables/{name}" for name in tables] + [f"data/{name}" for name in shards]


def _push_build(mirror: Mirror, remote_files: RemoteFiles, progress: Progress) -> None:
    """Put all files of a build: shards first, the card last.

    Raises:
        BlockingIOError: another machine has put another card meanwhile
    """
    now = _list_unless_changed(mirror, remote_files)
    mirror.forget_others(now)
    names = [name for name in list_names(mirror.folder) if name != CARD]
    shards = [name for name in names if name.startswith("data/")]
    others = [name for name in names if not name.startswith("data/")]
    mirror.push(shards, mirror.folder, progress)
    _list_unless_changed(mirror, remote_files)  # shards may take hours; the rest is small
    mirror.push(others, mirror.folder, progress)
    old_card = remote_files.get(CARD)
    try:
        mirror.push_instead(CARD, mirror.folder, old_card.version if old_card else None)
    except FileExistsError as error:
        raise _another_build(mirror) from error
    for name in now.keys() - {CARD, *names}:
        if is_record(name) or _is_abandoned(name, now[name]):
            mirror.remote.delete(name)


def _list_unless_changed(mirror: Mirror, remote_files: RemoteFiles) -> RemoteFiles:
    """Return the files at the address, whose card is still the one that the build began with.

    Raises:
        BlockingIOError: another machine has put another card meanwhile
    """
    now = mirror.remote.list_files()
    if now.get(CARD) != remote_files.get(CARD):
        raise _another_build(mirror)
    return now


def _another_build(mirror: Mirror) -> BlockingIOError:
    return BlockingIOError(
        f"{mirror.remote.address}: another build has just finished here: run the same command again"
    )


def _is_abandoned(name: str, file: RemoteFile) -> bool:
    """Return whether a shard, which no card lists, is so old that no build still needs it."""
    is_shard = SHARD_NAME.fullmatch(name.removeprefix("data/")) is not None
    return is_shard and file.timestamp is not None and time.time() - file.timestamp > DAY
