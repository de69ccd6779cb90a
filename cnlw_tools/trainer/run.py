"""A run on disk.

runs/shapes/red_40/mentormix_s0/
    config.json        what was asked: data and their digests, method, options, preset, seed, versions, command
    checkpoint.pt      all that going on takes
    metrics.jsonl      a line an epoch
    examples.parquet/  a file an epoch: what each example cost and weighed, and by whose label it went
    transition/        a file an epoch, of methods that estimate one: (K, K), P(given | true) by rows; and beside it
    confusion/         P(predicted | true) by rows, on validation
    predictions.parquet  of validation and test images, after the last epoch
    result.json        last, best, mean10: top-1 in percent
    tensorboard/       the same metrics, for TensorBoard
"""

import fcntl
import json
import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnlw_tools import files
from cnlw_tools.methods.components import distributed
from cnlw_tools.recipe.run_files import (
    CONFIG,
    METRICS,
    RESULT,
    RunConfig,
    RunResult,
    read_config,
    result_to_json,
    summarise,
)

FREE = ("command", "versions", "device", "build")  # what may differ when a run goes on
ABSENT = "\0"  # what stands for a value that is not there; no JSON of ours has it
Metrics = dict[str, Any]


class Run:
    """The folder of a run, which is its own until `close`; of several processes the first alone writes.

    Raises:
        ValueError: there is a run already, or going on would mix two that differ
        OSError: the folder cannot be written, or another run is at work there
    """

    def __init__(self, folder: Path, config: RunConfig, resume: bool) -> None:
        self.folder, self.config = folder, json.loads(json.dumps(asdict(config)))
        self.leads = distributed.rank() == 0
        self.state: dict[str, Any] | None = None
        self.close: Callable[[], object] = (
            weakref.finalize(self, os.close, _lock(folder)) if self.leads else lambda: None
        )
        try:
            if self.checkpoint.is_file():
                self._go_on(resume)
        except BaseException:
            self.close()  # or the lock would last as long as somebody looks at the error
            raise
        if self.state is None:
            self.begin()

    @property
    def checkpoint(self) -> Path:
        """The file that a killed run goes on from."""
        return self.folder / "checkpoint.pt"

    def begin(self) -> None:
        """Write what was asked; a run that goes on does so once its checkpoint is known to fit."""
        self._write(CONFIG, json.dumps(self.config, indent=1))

    def refuse(self, why: str) -> NoReturn:
        """Let go of a checkpoint that does not fit.

        Raises:
            ValueError: always
        """
        self.close()
        remedy = f"give another --out, or delete {self.folder} to begin again"
        raise ValueError(
            f"{self.checkpoint}: {why}: another version of the package or the method wrote it: {remedy}"
        )

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint."""
        if not self.leads:
            return
        with files.atomic_write(self.checkpoint) as draft:
            try:
                torch.save(state, draft)
            except RuntimeError as error:  # what torch says of a full disk
                raise OSError(str(error).splitlines()[0]) from error

    def metrics(self, history: list[Metrics]) -> None:
        """Write a line for every epoch so far, and what they come to."""
        self._write(METRICS, "".join(json.dumps(line) + "\n" for line in history))

    def result(self, history: list[Metrics]) -> Metrics:
        """Write and return what the epochs come to."""
        summed = result_to_json(result(history))
        self._write(RESULT, json.dumps(summed, indent=1) + "\n")
        return summed

    def examples(self, epoch: int, row: NDArray[np.int64], seen: Mapping[str, Tensor]) -> None:
        """Write what was noted of each example in an epoch, (n,) each, by its row in the build's split.

        Null: the example was not drawn in this epoch, or nothing was noted.
        """
        if not self.leads:
            return
        by_row = np.argsort(row)
        values = {name: value.cpu().numpy()[by_row] for name, value in seen.items()}
        columns = {
            name: pa.array(value, pa.float32(), from_pandas=True) for name, value in values.items()
        }
        table = pa.table(
            {"epoch": np.full(len(row), epoch, np.int32), "row": np.sort(row), **columns}
        )
        with files.atomic_write(
            self.folder / "examples.parquet" / f"epoch-{epoch:04d}.parquet"
        ) as draft:
            pq.write_table(table, draft, compression="zstd")

    def kept(self, epoch: int, arrays: Mapping[str, Tensor]) -> None:
        """Write the arrays that a method keeps of an epoch, a folder each."""
        for name, value in arrays.items() if self.leads else ():
            path = self.folder / name / f"epoch-{epoch:04d}.npy"
            with files.atomic_write(path) as draft, draft.open("wb") as out:
                np.save(out, value.detach().float().cpu().numpy())

    def predictions(self, by_split: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Write what was predicted of the images of some splits, columns by name, by their rows in the build."""
        if not self.leads:
            return
        tables = []
        for split, columns in by_split.items():
            order = np.argsort(columns["row"])
            said = {name: values[order] for name, values in columns.items()}
            tables.append(pa.table({"split": [split] * len(order), **said}))
        with files.atomic_write(self.folder / "predictions.parquet") as draft:
            pq.write_table(pa.concat_tables(tables), draft, compression="zstd")

    def _write(self, name: str, text: str) -> None:
        if self.leads:
            with files.atomic_write(self.folder / name) as draft:
                draft.write_text(text, encoding="utf-8")

    def _go_on(self, resume: bool) -> None:
        if not resume:
            raise ValueError(
                f"{self.folder}: a run is here already: --resume goes on with it, or give another --out"
            )
        try:
            before = json.loads(json.dumps(asdict(read_config(self.folder))))
            self.state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except (
            OSError,
            ValueError,
            RuntimeError,
            EOFError,
            UnpicklingError,
        ) as error:  # the last three: torch's
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ValueError(
                f"{self.folder}: the run cannot be read ({why}): give another --out"
            ) from error
        for key in self.config:
            if key not in FREE and before.get(key) != self.config[key]:
                raise ValueError(
                    f"{self.folder}: {_difference(key, before.get(key, ABSENT), self.config[key])}"
                )


def result(history: list[Metrics]) -> RunResult:
    """Return the last, the best and the mean of the last ten epochs of every top-1 on validation, in percent."""
    summaries = {}
    for name in [key for key in history[-1] if "top1" in key]:
        summaries[name] = summarise([line[name] for line in history])
    return RunResult(len(history), summaries.pop("val_top1"), summaries)


def _lock(folder: Path) -> int:
    """Lock the folder itself, made if need be; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise BlockingIOError(
            f"{folder}: another run is at work here: wait for it, or give another --out"
        ) from None
    return handle


def _difference(key: str, before: Any, now: Any) -> str:
    """Say what differs, as deep down as it can be named."""
    if isinstance(before, dict) and isinstance(now, dict):
        inner = next(k for k in [*before, *now] if before.get(k, ABSENT) != now.get(k, ABSENT))
        return _difference(f"{key}.{inner}", before.get(inner, ABSENT), now.get(inner, ABSENT))
    if key.startswith("data."):
        return f"the images or labels of {key[5:]} are not those that the run began with: give another --out"
    if before == ABSENT:
        other = "say the same, or, if an older version of the package wrote it, give another --out"
        return f"the run began without {key}, and now it is {now!r}: {other}"
    is_now = "there is none" if now == ABSENT else f"it is {now!r}"
    return f"the run began with {key} = {before!r}, and now {is_now}: say the same, or give another --out"
