"""Writes the folder of a run.

runs/shapes/red_40/mentormix_s0/
    config.json          the settings: data and their digests, method, options, preset, seed,
                         versions, command
    network_input.json   the size of images, how pixels are scaled, and the classes, for
                         `cnlw predict`
    checkpoint.pt        the state from which a killed run continues; ends with a sha256 of the rest
    best.pt              with --keep-best: the weights of the best reported epoch
    metrics.jsonl        a line for each epoch
    examples.parquet/    a file for each epoch: the loss and the weight of each example, and whether
                         the method used its given label
    transition/          a file for each epoch, if the method estimates a transition matrix: a
                         matrix of (classes, classes), whose row i is P(given label | true class i)
    confusion/           a file for each epoch: a matrix of (classes, classes), whose row i is
                         P(predicted class | true class i) on the validation images
    predictions.parquet  predictions for validation and test images after the last epoch
    result.json          last, best, mean10: top-1 accuracy in percent
    tensorboard/         the same metrics, for TensorBoard
"""

import json
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnlw_tools import files
from cnlw_tools.files import seals
from cnlw_tools.files.locks import lock
from cnlw_tools.files.untrusted import error_line, first_line
from cnlw_tools.methods.components import distributed
from cnlw_tools.recipe.run_files import (
    BEST_WEIGHTS,
    CHECKPOINT,
    CONFIG,
    METRICS,
    NETWORK_INPUT,
    PREDICTIONS,
    RECORDED_LATER,
    RESULT,
    RunConfig,
    find_run_files,
    read_config,
    read_metrics,
    read_result,
    result_to_json,
    summarise_history,
    to_json_types,
)
from cnlw_tools.registry.counts import count_things, list_first
from cnlw_tools.trainer.run_upload import RunUpload
from cnlw_tools.trainer.torch_files import load_tensors

# Keys of config.json that may differ in a resumed run.
MAY_DIFFER = ("command", "versions", "device", "build", "copied_from")
MISSING = "\0"  # stands for a missing value; no value of config.json equals it
Metrics = dict[str, Any]


class RunWriter:
    """Writes the folder of a run and keeps it locked until `close`.

    Only rank zero reads and writes it: other ranks may be on machines that do not have it.

    Args:
        folder: of the run
        config: what was asked
        resume: go on with a run that is there
        overwrite: delete the files of a run that is there, and begin again
        upload: of a run at an address, whose mirror is the folder

    Raises:
        ValueError: there is a run already, the run to resume was asked for something else or has
            lost its checkpoint, what would be deleted is of no run, or ranks were asked for
            different runs
        OSError: the folder cannot be written, or another run is at work there
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        resume: bool,
        overwrite: bool = False,
        upload: RunUpload | None = None,
    ) -> None:
        if resume and overwrite:
            raise ValueError(
                "--resume and --overwrite cannot be used together: give one of the two"
            )
        self.folder = folder
        self.place: Path | str = upload.address if upload else folder  # for messages
        self.config = to_json_types(asdict(config))
        self.is_rank_zero = distributed.rank() == 0
        self.restored_state: dict[str, Any] | None = None  # None: the run is new
        self.close: Callable[[], object] = lambda: None
        self.upload = upload if self.is_rank_zero else None
        if self.is_rank_zero:
            self.close = weakref.finalize(self, _unlock, _lock_folder(folder), upload)
        try:
            if self.upload:
                self.upload.begin()
            self._check_other_ranks()
            self._open_folder(resume, overwrite)
        except BaseException:
            self.close()  # otherwise the lock lasts as long as someone holds the error
            raise
        if self.restored_state is None:
            self.write_config()

    @property
    def keeps_best(self) -> bool:
        """Whether the weights of the best epoch are kept."""
        return bool(self.config["keep_best"])

    @property
    def checkpoint_path(self) -> Path:
        """The file from which a killed run goes on."""
        return self.folder / CHECKPOINT

    @contextmanager
    def discard_on_failure(self) -> Iterator[None]:
        """Delete what the block has written if it fails before the first checkpoint."""
        try:
            yield
        except Exception:
            if self.is_rank_zero and not self.checkpoint_path.exists():
                _delete_run(self.folder)
            raise

    def write_config(self) -> None:
        """Write what was asked. A resumed run does so after its checkpoint is found to fit."""
        self._write_text(CONFIG, json.dumps(self.config, indent=1))

    def refuse_checkpoint(self, reason: str) -> NoReturn:
        """Unlock the folder and raise, because the checkpoint does not fit.

        Raises:
            ValueError: always
        """
        self.close()
        raise ValueError(
            f"{self.place}/{CHECKPOINT}: {reason}: another version of the package or the method "
            f"wrote it: give another --out, or delete {self.place} to begin again"
        )

    def write_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint atomically; only rank 0 writes it, and puts it at an address.

        Raises:
            OSError: the disk is full, or the address cannot be written
        """
        self._write_state(self.checkpoint_path, state)
        self._publish()

    def write_best_weights(self, state: Mapping[str, Any]) -> None:
        """Replace the weights of the best epoch atomically; only rank 0 writes them.

        Raises:
            OSError: the disk is full
        """
        self._write_state(self.folder / BEST_WEIGHTS, state)

    def check_best_weights(self, best_epoch: int | None) -> None:
        """Unlock the folder and raise if a resumed run has lost the weights of its best epoch.

        Raises:
            ValueError: they are not there
        """
        path = self.folder / BEST_WEIGHTS
        is_lost = best_epoch is not None and not path.exists()
        if distributed.send_from_rank_zero(is_lost):
            self.close()
            raise ValueError(
                f"{self.place}/{BEST_WEIGHTS}: the weights of the best epoch, {best_epoch}, are "
                "missing and cannot be made again: use --overwrite to train from the beginning"
            )

    def write_network_input(self, text: str) -> None:
        """Write what the network takes."""
        self._write_text(NETWORK_INPUT, text)

    def write_metrics(self, history: list[Metrics]) -> None:
        """Write a line for every epoch so far."""
        lines = [json.dumps(metrics) + "\n" for metrics in history]
        self._write_text(METRICS, "".join(lines))

    def write_result(self, history: list[Metrics], reported_epochs: int) -> Metrics:
        """Write and return the summary of the last epochs, those that are reported."""
        result = result_to_json(summarise_history(history, reported_epochs))
        self._write_text(RESULT, json.dumps(result, indent=1) + "\n")
        self._publish()
        return result

    def write_examples(
        self,
        epoch: int,
        rows: NDArray[np.int64],
        columns: Mapping[str, Tensor],
    ) -> None:
        """Write what was logged about each example in an epoch, sorted by row.

        NaN becomes null: the example was not drawn in this epoch, or nothing was logged.

        Args:
            epoch: from 1
            rows: (n,) row of each example in the build's split
            columns: by name, (n,) each
        """
        if not self.is_rank_zero:
            return
        order = np.argsort(rows)
        table_columns: dict[str, Any] = {
            "epoch": np.full(len(rows), epoch, np.int32),
            "row": rows[order],
        }
        for name, values in columns.items():
            sorted_values = values.cpu().numpy()[order]
            table_columns[name] = pa.array(sorted_values, pa.float32(), from_pandas=True)
        path = self.folder / "examples.parquet" / f"epoch-{epoch:04d}.parquet"
        _write_table(path, pa.table(table_columns))

    def write_artifacts(self, epoch: int, artifacts: Mapping[str, Tensor]) -> None:
        """Write tensors of an epoch, each into the folder of its name."""
        if not self.is_rank_zero:
            return
        for name, value in artifacts.items():
            path = self.folder / name / f"epoch-{epoch:04d}.npy"
            with files.atomic_write(path) as draft, draft.open("wb") as file:
                np.save(file, value.detach().float().cpu().numpy())

    def write_predictions(self, predictions: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Write predictions: split -> column -> values, sorted by the column `row`."""
        if not self.is_rank_zero:
            return
        tables = []
        for split, columns in predictions.items():
            order = np.argsort(columns["row"])
            table_columns: dict[str, Any] = {"split": [split] * len(order)}
            for name, values in columns.items():
                table_columns[name] = values[order]
            tables.append(pa.table(table_columns))
        _write_table(self.folder / PREDICTIONS, pa.concat_tables(tables))

    def _publish(self) -> None:
        if self.upload:
            self.upload.publish()

    def _write_state(self, path: Path, state: Mapping[str, Any]) -> None:
        if not self.is_rank_zero:
            return
        with files.atomic_write(path) as draft:
            try:
                torch.save(state, draft)
            except RuntimeError as error:  # torch's error if the disk is full
                raise OSError(first_line(error)) from error
            seals.seal(draft)

    def _write_text(self, name: str, text: str) -> None:
        if self.is_rank_zero:
            with files.atomic_write(self.folder / name) as draft:
                draft.write_text(text, encoding="utf-8")

    def _check_other_ranks(self) -> None:
        """Raise on all ranks if one was asked for another run than the first, or has other data."""
        first = distributed.send_from_rank_zero(self.config)
        keys = [key for key in self.config if key not in MAY_DIFFER]
        different = [key for key in keys if self.config[key] != first.get(key)]
        for rank, names in enumerate(distributed.gather_values(different)):
            if names:
                raise ValueError(
                    f"process {rank} of torchrun differs from the first one in {', '.join(names)}: "
                    "start all with the same command, and give each machine the same build"
                )

    def _open_folder(self, resume: bool, overwrite: bool) -> None:
        """Restore or delete the run that is there; all ranks raise if neither was asked for."""
        state, error = None, None
        if self.is_rank_zero:
            try:
                state = self._read_or_delete_run(resume, overwrite)
                if self.upload:
                    self.upload.delete_missing()
            except ValueError as reason:
                error = reason
        self.restored_state, error = distributed.send_from_rank_zero((state, error))
        if error is not None:
            raise error

    def _read_or_delete_run(self, resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """Return the checkpoint of the run that is there, or delete it."""
        paths = find_run_files(self.folder)
        if not paths:
            return None
        if overwrite:
            _check_files_of_run(self.folder)
        elif not resume:
            raise ValueError(
                f"{self.place}: there is already a run here: --resume continues it, --overwrite "
                f"deletes its files ({_describe_paths(paths, self.folder)}) and begins again, "
                "or give another --out"
            )
        elif self.checkpoint_path.exists():
            return self._load_checkpoint()
        elif not all(map(_is_of_first_epoch, paths)):
            raise ValueError(
                f"{self.place}: {CHECKPOINT} is missing, and a run cannot continue without it: "
                f"delete the rest ({_describe_paths(paths, self.folder)}), as "
                "`cnlw train --overwrite` does, or give another --out"
            )
        _delete_run(self.folder)
        return None

    def _load_checkpoint(self) -> dict[str, Any]:
        """Return the checkpoint of the run that is there, if it is of what was asked for."""
        try:
            old_config = to_json_types(asdict(read_config(self.folder)))
            seals.check_seal(self.checkpoint_path)
            state: dict[str, Any] = load_tensors(self.checkpoint_path, "a checkpoint", "")
        except (OSError, ValueError) as error:
            reason = error_line(error)
            raise ValueError(
                f"{self.place}: the run cannot be read ({reason}): give another --out, or delete "
                "the run to begin again"
            ) from error
        for key, value in self.config.items():
            is_unknown = key in RECORDED_LATER and old_config.get(key) is None
            if key in MAY_DIFFER or is_unknown:
                continue
            if old_config.get(key) != value:
                difference = _explain_difference(key, old_config.get(key, MISSING), value)
                raise ValueError(f"{self.place}: {difference}")
        return state


def _write_table(path: Path, table: pa.Table) -> None:
    with files.atomic_write(path) as draft:
        pq.write_table(table, draft, compression="zstd")


def _check_files_of_run(folder: Path) -> None:
    """Raise if what would be deleted is not a run: another program writes a config.json, too."""
    try:
        if (folder / CONFIG).exists():
            read_config(folder)
        read_metrics(folder)
        read_result(folder)
    except (ValueError, OSError) as error:
        reason = error_line(error)
        raise ValueError(
            f"{folder}: --overwrite deletes only whole runs, but this folder contains "
            "something else or a "
            f"damaged one ({reason}): give another --out, or delete the folder yourself"
        ) from error


def _is_of_first_epoch(path: Path) -> bool:
    """Tell whether a run may have written this file before its first checkpoint.

    Raises:
        ValueError: it is best.pt, and it is damaged
    """
    if path.name == BEST_WEIGHTS:
        state = load_tensors(path, "weights of a run", "delete it, or give another --out")
        return isinstance(state, dict) and state.get("epoch") == 1
    is_of_epoch = path.stem == "epoch-0001" or path.parent.name == "tensorboard"
    return is_of_epoch or path.name in (CONFIG, NETWORK_INPUT, PREDICTIONS)


def _describe_paths(paths: Sequence[Path], folder: Path) -> str:
    """Name the first three files below a folder, and count the others."""
    names = [path.relative_to(folder).as_posix() for path in paths]
    return list_first(names, 3)


def _delete_run(folder: Path) -> None:
    """Delete the files of a run, config.json last, and the folders that this leaves empty.

    Whenever it is killed, what is left has the config that it was made by.
    """
    for path in reversed(find_run_files(folder)):
        path.unlink()
        if path.parent != folder and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _lock_folder(folder: Path) -> int:
    """Create a folder if needed, lock it, delete what a killed run left; return the handle."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = lock(
        folder, f"{folder}: another run is at work here: wait for it, or give another --out"
    )
    files.remove_drafts_below(folder)
    return handle


def _unlock(handle: int, upload: RunUpload | None) -> None:
    os.close(handle)
    if upload:
        upload.close()


def _explain_difference(key: str, old: Any, new: Any) -> str:
    """Describe how a value of config.json differs, naming the innermost key."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *new]:
            old_value = old.get(name, MISSING)
            new_value = new.get(name, MISSING)
            if old_value != new_value:
                return _explain_difference(f"{key}.{name}", old_value, new_value)
    if key.startswith("data."):
        split = key.removeprefix("data.")
        return (
            f"the images or labels of {split} are not those that the run began with: "
            f"give another --out"
        )
    if key == "code":
        return (
            "the code of your method or network is not what the run began with: give another --out"
        )
    if old == MISSING:
        return (
            f"the run began without {key}, and now it is {new!r}: ask for the same, or, "
            f"if an older version of the package wrote it, give another --out"
        )
    if key == "preset.epochs" and isinstance(old, int) and isinstance(new, int):
        return (
            f"the run was asked for {count_things(old, 'epoch')}, and now for {new:,}: no run gets "
            "other epochs later, because its rates and stages are planned for all of them: ask "
            f"for {old:,}, or give another --out, and --weights with this folder to begin with "
            "its weights"
        )
    current = "there is none" if new == MISSING else f"it is {new!r}"
    return (
        f"the run began with {key} = {old!r}, and now {current}: "
        f"ask for the same, or give another --out"
    )
