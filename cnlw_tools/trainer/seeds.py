"""Train one request with several seeds: each seed is a run in a folder of its own.

Finished runs are kept, and interrupted ones are resumed, so the same command continues wherever it
was stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.files.storage import below
from cnlw_tools.recipe.run_files import CHECKPOINT, read_config, read_result, result_to_json
from cnlw_tools.trainer.errors import TrainingStopped
from cnlw_tools.trainer.run import Metrics
from cnlw_tools.trainer.trainer import Trainer


def trainers_of_seeds(trainer: Trainer, seeds: Sequence[int]) -> list[Trainer]:
    """Return a copy of a request for each seed; a folder that was asked for gets a subfolder each.

    Raises:
        ValueError: there is no seed, or one is there twice
    """
    if not seeds or len({*seeds}) < len(seeds):
        raise ValueError(f"seeds {[*seeds]} are not allowed: give one or more, each once")
    trainers = []
    for seed in seeds:
        out = None if trainer.out is None else below(trainer.out, f"s{seed}")
        trainers.append(replace(trainer, seed=seed, out=out, resume=not trainer.overwrite))
    return trainers


def fit_all(
    trainers: Sequence[Trainer],
    fit: Callable[[Trainer], Metrics],
) -> list[Metrics]:
    """Train one after the other and return the results.

    Args:
        trainers: of `trainers_of_seeds`
        fit: trains one to its end and returns its result, as `Trainer.fit` does

    Raises:
        ValueError, LookupError, OSError: see `Trainer.fit`
        TrainingStopped: a signal asked for it; the same request continues
    """
    results: list[Metrics] = []
    with StopRequest() as stop:
        for trainer in trainers:
            if stop.signal:
                n_left = len(trainers) - len(results)
                message = f"{n_left} of {len(trainers)} seeds are left: run the same command again"
                raise TrainingStopped(message, stop.signal)
            results.append(_finished_result(trainer) or fit(trainer))
    return results


def _finished_result(trainer: Trainer) -> Metrics | None:
    """Return the result of a run that has ended and whose checkpoint was deleted to save room.

    If the checkpoint is there, `Trainer.fit` compares more, and trains nothing.

    Raises:
        ValueError: another run is there
    """
    folder = trainer.find_folder()
    result = read_result(folder)
    if trainer.overwrite or result is None or (folder / CHECKPOINT).exists():
        return None
    trainer.folder = folder
    difference = trainer.find_difference(read_config(folder))
    if difference:
        raise ValueError(
            f"{trainer.place}: the run there differs in {difference}: give another --out"
        )
    return result_to_json(result)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that a text names: ``3`` means 0, 1 and 2; ``0,1,5`` means these.

    Raises:
        ValueError: the text names none
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise ValueError(
            f"seeds {text!r} are not allowed: write a number, such as 3, or a list, such as 0,1,5"
        )
    numbers = [int(word) for word in words]
    return list(range(numbers[0])) if len(numbers) == 1 else numbers
