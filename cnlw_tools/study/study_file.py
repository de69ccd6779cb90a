"""What a sweep writes beside its runs, and a report shows.

study.json is the study; failure.json in the folder of a run says why the run failed.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cnlw_tools import files
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.files.texts import read_json
from cnlw_tools.recipe.strict import read_dataclass
from cnlw_tools.registry.counts import join_words
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.spec import Study, parse_study

STUDY, FAILURE = "study.json", "failure.json"
SHARD_MARKS = ".cnlw-shard-*"  # empty files beside study.json
REMEDY = "run the sweep again"


@dataclass(frozen=True, slots=True)
class StudyFile:
    """A study, as it was run."""

    name: str
    scale: str  # none: the study has none
    study: Study
    cells: tuple[RunSpec, ...]  # every run that it asks for
    builds: str  # the folder of its builds
    command: tuple[str, ...]  # that wrote the file


@dataclass(frozen=True, slots=True)
class Failure:
    """What failure.json holds."""

    reason: str


def write_study_file(folder: Path, study_file: StudyFile) -> None:
    """Write study.json into a folder of runs, whole or not at all."""
    with files.atomic_write(folder / STUDY) as draft:
        draft.write_text(json.dumps(asdict(study_file), indent=1) + "\n", encoding="utf-8")


def read_study_file(folder: Path) -> StudyFile | None:
    """Read what a sweep wrote into a folder of runs; none where no sweep did.

    Raises:
        ValueError: study.json is not what `cnlw sweep` writes
    """
    path = folder / STUDY
    if not path.exists():
        return None
    raw = read_json(path, REMEDY)
    study_file = read_dataclass(StudyFile, raw, str(path), REMEDY)
    parse_study(
        raw["study"], f"{path}: study"
    )  # a study that was run is checked like one that will be
    return study_file


def mark_shard(folder: Path, work_shard: WorkShard) -> str:
    """Note in a folder of runs which shard of a study is run there; return the name of the note.

    Raises:
        ValueError: shards of another number were run there
    """
    counts = {work_shard.count}
    for path in folder.glob(SHARD_MARKS):
        count = path.name.rpartition("-")[2]
        if count.isdecimal():
            counts.add(int(count))
    if len(counts) > 1:
        numbers = join_words([str(count) for count in sorted(counts)])
        raise ValueError(
            f"{folder}: shards of {numbers} sweeps are mixed, so some runs would be trained twice "
            "and others never: give every sweep the same number of shards, or another --out, or "
            "delete "
            f"the files {SHARD_MARKS} there if all sweeps have ended"
        )
    name = f".cnlw-shard-{work_shard.number}-of-{work_shard.count}"
    files.check_writable(folder)
    (folder / name).touch()
    return name


def write_failure(folder: Path, reason: str) -> None:
    """Write why a run failed into its folder."""
    with files.atomic_write(folder / FAILURE) as draft:
        draft.write_text(json.dumps({"reason": reason}, indent=1) + "\n", encoding="utf-8")


def clear_failure(folder: Path) -> None:
    """Forget that a run failed before."""
    (folder / FAILURE).unlink(missing_ok=True)


def read_failure(folder: Path) -> str:
    """Return why a run failed; an empty text if it did not.

    Raises:
        ValueError: failure.json is not what `cnlw sweep` writes
    """
    path = folder / FAILURE
    if not path.is_file():
        return ""
    return read_dataclass(Failure, read_json(path, REMEDY), str(path), REMEDY).reason
