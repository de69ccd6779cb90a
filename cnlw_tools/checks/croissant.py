"""Checks of `croissant.json`: it says what the build holds, and mlcroissant can read that."""

import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from cnlw_tools.card.croissant import describe_build
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.checks.card import WRITE_ANEW, is_ours
from cnlw_tools.checks.evidence import COLUMN_NAMES, Evidence
from cnlw_tools.checks.finding import Finding, abbreviate, error, note
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.files.parquet import open_parquet, read_row_group
from cnlw_tools.files.texts import read_json
from cnlw_tools.registry.extras import install_command

PACKAGE = "mlcroissant"


def why_not_read(evidence: Evidence) -> str | None:
    """Return why mlcroissant cannot or should not read the build, or None if it can.

    A file that somebody has changed may name files of other machines.
    """
    if evidence.is_old_card:
        return f"an earlier version made this build, without {CROISSANT}"
    if find_spec(PACKAGE) is None:
        return f"{PACKAGE} is not installed, so nothing was read: {install_command('croissant')}"
    if _differences(evidence):
        return f"{CROISSANT} is not what the build gives"
    return None


def croissant(evidence: Evidence) -> Iterator[Finding]:
    """The file lists the tables as they are, and describes the configs of the card.

    What the user has added is a note, as nothing here proves it.
    """
    if evidence.is_old_card:
        message = f"an earlier version made this build, without {CROISSANT}"
        yield note(message, CROISSANT, fix=WRITE_ANEW)
        return
    wrong = _differences(evidence)
    if wrong:
        message = f"not what the build gives: {abbreviate(wrong)}"
        report = error if is_ours(evidence) else note
        yield report(message, CROISSANT, len(wrong), WRITE_ANEW)
    added = [key for key in _read(evidence) if key not in _expected(evidence)]
    if added:
        message = "keys that `cnlw build` did not write, so nothing proves them"
        fix = "read them; what you wrote yourself may stay"
        yield note(f"{message}: {abbreviate(added)}", CROISSANT, len(added), fix)


def _differences(evidence: Evidence) -> list[str]:
    """Return the keys at the top of the file whose values are not what the build gives."""
    actual, expected = _read(evidence), _expected(evidence)
    return [key for key in expected if actual.get(key) != expected[key]]


def _read(evidence: Evidence) -> dict[str, Any]:
    """Return what the file says; the list of files in it has been read before."""
    content: dict[str, Any] = read_json(evidence.folder / CROISSANT)
    return content


def _expected(evidence: Evidence) -> dict[str, Any]:
    """Return what the file should say."""
    n_classes = len(evidence.require_dataset().classes)
    return describe_build(evidence.card, evidence.described_tables, n_classes)


def records(evidence: Evidence) -> Iterator[Finding]:
    """The first record of every split is a row of the shards, with its picture.

    Raises:
        OSError: this machine has a fault
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that mlcroissant calls in an old way
        import mlcroissant

        logging.getLogger("absl").setLevel(logging.ERROR)  # it warns of recommended keys
        try:
            dataset = mlcroissant.Dataset(evidence.folder.absolute() / CROISSANT)
        except Exception as problem:  # noqa: BLE001, what a reader would meet
            raise_machine_fault(problem, str(evidence.folder))
            yield error(_describe(problem), CROISSANT)
            return
        for config, card in evidence.card.configs.items():
            for split in card.rows:
                message = _check_first(evidence, dataset, config, split)
                if message:
                    yield error(f"{split}: {message}", config)


def _check_first(evidence: Evidence, dataset: Any, config: str, split: str) -> str:
    """Return what is wrong with the first record of a split, or nothing."""
    set_id = f"{config}/{split}"
    try:
        record = next(iter(dataset.records(set_id)))
        values = {name: _plain(record[f"{set_id}/{name}"]) for name in COLUMN_NAMES}
        picture = record[f"{set_id}/image"].tobytes()
    except Exception as problem:  # noqa: BLE001, what a reader would meet
        raise_machine_fault(problem, str(evidence.folder))
        return _describe(problem)
    for file, row in evidence.first_rows(config, split):
        if row == values:
            is_same = _read_picture(evidence.folder / "data" / file) == picture
            return "" if is_same else f"the picture of its first record is not that of {file}"
    return f"its first record is not a row of the build: {values}"


def _read_picture(path: Path) -> bytes:
    """Return the pixels of the first image of a shard."""
    with open_parquet(path) as file:
        images = read_row_group(file, path, 0, ["image"])["image"]
    with Image.open(BytesIO(images[0].as_py()["bytes"])) as picture:
        return picture.tobytes()


def _plain(value: Any) -> Any:
    """Return a value of a record as Arrow gives it; a text is bytes there."""
    if isinstance(value, bytes):
        return value.decode()
    return None if value != value else value  # NaN, as pandas has it for null


def _describe(problem: Exception) -> str:
    first_line = str(problem).partition("\n")[0]
    return f"mlcroissant: {type(problem).__name__}: {first_line}"
