"""A build becomes a dataset repository of the Hugging Face Hub.

Shards are sent first, in commits of at most 50 files. The last commit has the tables, the pictures
and the card, and deletes what an earlier build had there. So a reader sees the old build or the new
one. Files that are already there are not sent, so a push that broke off continues with the next.
"""

import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any

from cnlw_tools import files
from cnlw_tools.builds.staging import is_of_build
from cnlw_tools.card.metadata import CARD, read_card
from cnlw_tools.card.remote import REPOSITORY
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.machine_faults import find_causes
from cnlw_tools.files.untrusted import describe_error

DATASET = "dataset"  # the type of the repository
FILES_PER_COMMIT = 50
OWNERS_FILES = (".gitattributes", ".gitignore", "LICENSE", "LICENSE.md", "eval.yaml")  # stay there
TAG = re.compile(r"(?![-.])(?!.*\.\.)(?!.*(\.|\.lock)$)[\w.+-]+", re.ASCII)  # git takes such names
AGAIN = "run the same command again, which continues"
REMEDIES = {  # by the status of the answer
    401: "log in with `hf auth login`, or set HF_TOKEN to a token with the right to write",
    403: "use a token with the right to write there, or another owner",
    404: "create the repository on the Hub, or use a token with the right to create it",
    409: f"another push changed the repository meanwhile: {AGAIN}",
    412: f"another push changed the repository meanwhile: {AGAIN}",
    413: "the Hub takes no request of this size: build with a larger shard_rows, so that there are "
    "fewer files",
    429: f"the Hub limits the number of requests: wait for an hour, and {AGAIN}",
}


FILE_TOO_LARGE = "the Hub takes no file of this size: build with a smaller shard_rows"


@dataclass(frozen=True, slots=True)
class PushSummary:
    """What a push did."""

    url: str  # of the repository
    n_files: int  # of the build
    n_sent: int  # files that were not there
    sent_bytes: int  # of these
    n_deleted: int  # files of an earlier build
    notes: list[str] = field(default_factory=list)  # what the Hub says about the card


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """What the Hub says of a file."""

    size: int  # in bytes
    blob_id: str  # of git
    sha256: str  # of a large file, in hex; empty for a small one


def push_build(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    gated: bool = False,
    tag: str = "",
    progress: Progress = no_progress,
) -> PushSummary:
    """Put a build into a dataset repository, which is created if it does not exist.

    Args:
        folder: of the build, which is not checked here
        repository: OWNER/NAME
        private: create the repository so that only its owner sees it; one that exists must be
            private
        gated: ask people for name and e-mail address before they get the files
        tag: name of the version; empty: none
        progress: is told how many files are there

    Raises:
        ValueError: the folder holds no build, the name of the repository or of the tag is invalid,
            the repository is public in spite of ``private``, or the tag marks another build
        FileExistsError: the repository holds something other than a build
        OSError: the Hub refused or broke off; what it has remains there for the next push
    """
    from huggingface_hub import HfApi

    check_names(repository, tag)
    card = read_card(folder)
    names = [name for name in list_names(folder) if is_of_build(name)]
    hub = HfApi()
    with _quiet_client() as notes:
        url = _open_repository(hub, repository, private)
        remote = _list_remote(hub, repository)
        _require_build(repository, remote)
        if gated:
            _gate(hub, repository)
        hashes = {f"data/{name}": digest for name, digest in card.shards.items()}
        missing = [name for name in names if not _is_there(folder, name, remote, hashes)]
        useless = [name for name in remote if is_of_build(name) and name not in names]
        if tag and tag in _list_tags(hub, repository):
            tagged = _list_remote(hub, repository, tag)
            _require_same(repository, tag, folder, names, tagged, hashes)
        _commit(hub, repository, folder, _order(missing), useless, progress)
        _add_tag(hub, repository, tag)
    sent_bytes = sum((folder / name).stat().st_size for name in missing)
    return PushSummary(url, len(names), len(missing), sent_bytes, len(useless), notes)


def check_names(repository: str, tag: str = "") -> None:
    """Check names before anything is read or sent.

    Args:
        repository: OWNER/NAME; without the owner, the Hub would take the name for that of another
            repository
        tag: of the version; empty: none

    Raises:
        ValueError: no repository, or no tag, can have this name
    """
    if not REPOSITORY.fullmatch(repository):
        raise ValueError(f"{repository!r} is not the name of a repository: give OWNER/NAME")
    if tag and not TAG.fullmatch(tag):
        raise ValueError(
            f"--tag {tag!r} cannot be the name of a version: use letters, digits and dots, as in "
            "v1.0"
        )


def _open_repository(hub: Any, repository: str, private: bool) -> str:
    """Create the repository if it does not exist, and return its URL.

    Raises:
        ValueError: everybody sees the repository, which should be private
    """
    with _translate_errors(repository):
        url = hub.create_repo(repository, repo_type=DATASET, private=private, exist_ok=True)
        is_public = not hub.repo_info(repository, repo_type=DATASET).private
    if private and is_public:
        raise ValueError(
            f"{repository}: the repository exists and is public: make it private in its settings "
            "on the Hub, use another name, or omit --private"
        )
    return str(url)


def _gate(hub: Any, repository: str) -> None:
    """Let the Hub ask people for their name and e-mail address."""
    with _translate_errors(repository):
        hub.update_repo_settings(repository, repo_type=DATASET, gated="auto")


def _list_remote(hub: Any, repository: str, tag: str | None = None) -> dict[str, _RemoteFile]:
    """Return the files of the repository by name, now or in the version of a tag."""
    remote = {}
    with _translate_errors(repository):
        entries = list(
            hub.list_repo_tree(repository, repo_type=DATASET, recursive=True, revision=tag)
        )
    for entry in entries:
        if hasattr(entry, "blob_id"):  # folders have none
            sha256 = entry.lfs.sha256 if entry.lfs else ""
            remote[entry.path] = _RemoteFile(entry.size, entry.blob_id, sha256)
    return remote


def _require_build(repository: str, remote: Mapping[str, _RemoteFile]) -> None:
    """Raise if the repository has files of something other than a build."""
    others = [name for name in remote if not is_of_build(name) and name not in OWNERS_FILES]
    if others:
        raise FileExistsError(
            f"{repository} is not the repository of a build, because {others[0]} is there: use "
            "another name, or delete this file there"
        )


def _is_there(
    folder: Path, name: str, remote: Mapping[str, _RemoteFile], hashes: Mapping[str, str]
) -> bool:
    """Return whether the repository has a file with the same contents.

    Args:
        folder: of the build
        name: of the file
        remote: what the repository has
        hashes: sha256 of some files of the build, which need not be read again
    """
    path = folder / name
    if name not in remote or remote[name].size != path.stat().st_size:
        return False
    if remote[name].sha256:
        return remote[name].sha256 == (hashes.get(name) or files.digest(path))
    content = path.read_bytes()
    blob = b"blob %d\0" % len(content) + content
    return remote[name].blob_id == sha1(blob, usedforsecurity=False).hexdigest()


def _order(names: Sequence[str]) -> list[list[str]]:
    """Return the files of each commit: shards first, then all the others, with the card."""
    shards = [name for name in names if name.startswith("data/")]
    others = [name for name in names if not name.startswith("data/")]
    starts = range(0, len(shards), FILES_PER_COMMIT)
    return [shards[start : start + FILES_PER_COMMIT] for start in starts] + [others]


def _require_same(
    repository: str,
    tag: str,
    folder: Path,
    names: Sequence[str],
    tagged: Mapping[str, _RemoteFile],
    hashes: Mapping[str, str],
) -> None:
    """Raise if a tag marks another build than the one that is pushed.

    Args:
        repository: OWNER/NAME
        tag: a tag that the repository has
        folder: of the build
        names: of the files of the build
        tagged: the files that the tag marks
        hashes: sha256 of some files of the build
    """
    is_same = all(_is_there(folder, name, tagged, hashes) for name in names)
    if not is_same or any(is_of_build(name) and name not in names for name in tagged):
        raise ValueError(
            f"{repository}: the tag {tag!r} exists and marks another build: give another --tag"
        )


def _list_tags(hub: Any, repository: str) -> set[str]:
    with _translate_errors(repository):
        refs = hub.list_repo_refs(repository, repo_type=DATASET)
    return {ref.name for ref in refs.tags}


def _add_tag(hub: Any, repository: str, tag: str) -> None:
    """Tag the newest commit, unless the tag is there."""
    if tag and tag not in _list_tags(hub, repository):
        with _translate_errors(repository):
            hub.create_tag(repository, repo_type=DATASET, tag=tag)


def _commit(
    hub: Any,
    repository: str,
    folder: Path,
    commits: Sequence[Sequence[str]],
    useless: Sequence[str],
    progress: Progress,
) -> None:
    """Send files in several commits; the last one also deletes what is useless.

    Each commit builds on the one before, so that the push of another machine is not overwritten.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with _translate_errors(repository):
        parent = hub.repo_info(repository, repo_type=DATASET).sha
    n_files = sum(map(len, commits))
    done = 0
    for number, names in enumerate(commits, 1):
        is_last = number == len(commits)
        operations: list[Any] = [CommitOperationAdd(name, str(folder / name)) for name in names]
        if is_last:
            operations += [CommitOperationDelete(name) for name in useless]
        if operations:
            subject = "Card and tables of the build" if is_last else "Images of the build"
            with _translate_errors(repository):
                commit = hub.create_commit(
                    repository,
                    operations,
                    commit_message=subject,
                    repo_type=DATASET,
                    parent_commit=parent,
                )
            parent = commit.oid
        done += len(names)
        progress("push", done, n_files)


@contextmanager
def _quiet_client() -> Iterator[list[str]]:
    """Turn off the progress bars and the log of the client, and yield the list of its warnings.

    The log repeats each fault that the client mends by itself.
    """
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    log = logging.getLogger("huggingface_hub")
    log_level = log.level
    log.setLevel(logging.ERROR)
    notes: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield notes
    finally:
        log.setLevel(log_level)
        notes += [" ".join(str(warning.message).split()) for warning in caught]
        if not were_disabled:
            enable_progress_bars()


@contextmanager
def _translate_errors(repository: str) -> Iterator[None]:
    """Turn errors of the client into one line with a remedy.

    Raises:
        ValueError: the repository has no such name, or the Hub found a fault in the card
        OSError: the Hub refused or broke off
    """
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HFValidationError,
        HTTPError,
    )

    try:
        yield
    except HFValidationError as error:
        raise ValueError(
            f"{repository!r} is not the name of a repository: give OWNER/NAME"
        ) from error
    except (OSError, RuntimeError, ValueError, HTTPError) as error:
        raise _describe_refusal(repository, error) from error


def _is_upload(error: Any) -> bool:
    """Return whether the request that was refused sent one file."""
    return bool(error.response.request.method == "PUT")


def _describe_refusal(repository: str, error: Exception) -> Exception:
    """Return the error that says what the Hub answered, and what to do."""
    for cause in find_causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            kind = PermissionError if status in (401, 403) else OSError
            message = f"{repository}: the Hub answered with status {status}"
            remedy = REMEDIES.get(status, AGAIN)
            if status == 413 and _is_upload(cause):
                remedy = FILE_TOO_LARGE
            return kind(f"{message}: {remedy}")
    if isinstance(error, json.JSONDecodeError):
        return OSError(
            f"{repository}: the answer of the Hub to the card is not JSON, as when {CARD} is too "
            f"large: {AGAIN}, or build fewer configs"
        )
    first_cause = list(find_causes(error))[-1]
    reason = describe_error(first_cause if isinstance(first_cause, Exception) else error)
    if isinstance(error, ValueError):
        return ValueError(f"{repository}: the Hub found a fault: {reason}")
    return OSError(f"{repository}: the push broke off ({reason}): {AGAIN}")
