"""From a build and a few names to a trained network.

Trainer("builds/shapes", "red_40", method="mentormix").fit()
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnlw_tools import __version__, files
from cnlw_tools.card import metadata
from cnlw_tools.executor import Progress, local, no_progress
from cnlw_tools.methods import METHODS, Batch, Method, ProbeSet, Task
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import check_number
from cnlw_tools.recipe import preset
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.run_files import RunConfig
from cnlw_tools.registry import pick, suggest
from cnlw_tools.trainer import data, nets
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.augment import compose
from cnlw_tools.trainer.batches import (
    BatchLoader,
    balanced_sampler,
    fit_normaliser,
    imagenet_normaliser,
)
from cnlw_tools.trainer.loop import TrainingLoop
from cnlw_tools.trainer.run import Metrics, Run
from cnlw_tools.trainer.schedule import parse_schedule

COMMON = ("noise_rate", "holdout")  # options that the trainer takes for a method that needs them
HOLDOUT = (
    0.1  # share of train that is kept for a method that selects by it, if the user says no other
)
Make = Callable[[int, int], nn.Module]  # classes, side in pixels -> a network with new weights


@dataclass
class Trainer:
    """One run: a method learns from one config of a build."""

    build: Path | str  # the folder that `cnlw build` made
    config: str  # its name there: red_40
    method: str | type[Method] = "vanilla"  # of METHODS, or one of your own
    net: str | Make | None = None  # of NETS, or a function that makes one; none: the preset's
    plan: str | Preset | None = (
        None  # a preset, its name, or its file; none: the one called like the dataset
    )
    changes: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the preset: epochs, batch_size, lr ...
    options: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the method; they go before the preset's
    quick: bool = False  # the preset's `quick` epochs instead of all
    split: str = "train"  # that is learned from
    seed: int = 0
    device: str = "auto"  # or cpu, cuda
    out: Path | str | None = None  # folder of the run; none: runs/DATASET/CONFIG/METHOD_sSEED
    resume: bool = False  # go on with the run that is there
    pretrained: bool = False  # begin with torchvision's weights
    weights: Path | None = None  # begin with the weights of a file
    compile: bool = False  # the network, by torch.compile
    root: Path | None = None  # folder of pipelines/; none: the package's own
    cache: Path | str | None = None  # where decoded pixels are kept
    workers: int | None = None  # threads that decode; none: all processors
    folder: Path = field(init=False)  # of the run
    image_size: data.ImageSize = field(init=False)  # to which images are brought
    trained_method: Method = field(
        init=False
    )  # what `fit` made; it predicts from images as `Feed` scales them

    def fit(
        self,
        tell: Progress = no_progress,
        each: Callable[[Metrics], None] = lambda line: None,
    ) -> Metrics:
        """Train to the end and return last, best and mean10: top-1 on validation in percent.

        Args:
            tell: is told the stage, what is done and what there is
            each: is told the metrics of every epoch

        Raises:
            ValueError, LookupError, OSError: with value, place and remedy; a bad request writes nothing
            TrainingStopped: a signal asked for it, and the run can be resumed
        """
        device = devices.choose_device(self.device)
        devices.enable_fast_kernels(device)
        with devices.process_group(device), devices.explain_oom(device):
            loop = self._loop(device, tell)
            found = loop.fit(tell, each)
            self.trained_method = loop.method
            return found

    def _loop(self, device: torch.device, tell: Progress) -> TrainingLoop:
        """Get everything ready; the first rank decodes while the others wait."""
        how, method, options = self._choices()
        self.image_size = size = data.ImageSize(how.size, how.resize)
        with devices.rank_zero_first():
            splits = data.load_splits(
                Path(self.build),
                self.config,
                size,
                Path(self.cache) if self.cache else None,
                self.workers or local.cores(),
                tell,
            )
        if self.split != "train":
            splits["train"] = splits.pop(self.split)
        splits |= data.split_holdout(
            splits["train"], options.get("holdout", HOLDOUT if "holdout" in method.requires else 0)
        )
        views = {name: compose(ops) for name, ops in how.views.items()}
        scaled = (
            imagenet_normaliser(device)
            if self.pretrained
            else fit_normaliser(splits["train"], device)
        )
        loaders = {
            name: BatchLoader(split, device, self.seed, views, scaled)
            for name, split in splits.items()
        }
        torch.manual_seed(self.seed)
        made = self._method(how, method, options, splits["train"], loaders).to(device)
        if device.type == "cuda":
            made.to(memory_format=torch.channels_last)
        if self.compile:
            made.net.compile()
        _fits(how, made)
        distributed.broadcast_from_rank_zero([*made.parameters(), *made.buffers()])
        self.folder = self._folder(method)
        run = Run(self.folder, self._said(how, method, options, splits), self.resume)
        return TrainingLoop(made, how, loaders, run, self.seed)

    def _choices(self) -> tuple[Preset, type[Method], dict[str, Any]]:
        """Return preset, method and its options, checked."""
        card = metadata.read_card(Path(self.build))
        config = pick(card.configs, self.config, f"config of {self.build}")
        self._check(config)
        root = self.root or files.default_root()
        how = (
            self.plan
            if isinstance(self.plan, Preset)
            else preset.read_preset(self.plan or card.dataset, root)
        )
        net = {"net": self.net} if isinstance(self.net, str) else {}
        quick = {"epochs": how.quick} if self.quick else {}
        changes = {key: value for key, value in self.changes.items() if value is not None}
        how = preset.change_preset(how, {**quick, **net, **changes})
        parse_schedule(how.schedule)
        method = (
            pick(METHODS, self.method, "method") if isinstance(self.method, str) else self.method
        )
        options = {**preset.method_options(how, _name(method), config.level), **self.options}
        _check(how, method, options)
        if callable(self.net) and (self.pretrained or self.weights):
            raise ValueError(
                "a network of your own begins with its own weights: leave out pretrained and weights"
            )
        if how.batch_size % distributed.world_size():
            raise ValueError(
                f"batch_size {how.batch_size} is no multiple of the {distributed.world_size()} processes: change one"
            )
        return how, method, options

    def _check(self, config: metadata.ConfigCard) -> None:
        """Raise if there is nothing to learn from, or nothing to validate on."""
        for split in (self.split, "validation"):
            if split not in config.segments:
                there = f"{self.build}: {self.config} has no split {split!r}, only {', '.join(config.segments)}"
                wants = (
                    "a base manifest that has it" if split == "validation" else f"--{split} 20, say"
                )
                raise ValueError(f"{there}: build it with {wants}")

    def _method(
        self,
        how: Preset,
        method: type[Method],
        options: dict[str, Any],
        train: data.Split,
        loaders: Mapping[str, BatchLoader],
    ) -> Method:
        """Return the method, with a network of its own."""
        rate = options.get("noise_rate")
        options = {name: value for name, value in options.items() if name not in COMMON}
        size = train.image_shape[-1]
        net: Callable[[], nn.Module]
        if callable(self.net):
            net = partial(self.net, len(train.class_names), size)
        else:
            net = partial(
                nets.build_network,
                how.net,
                len(train.class_names),
                size,
                None,
                self.pretrained,
                self.weights,
            )
        has: dict[str, Any] = {"noise_rate": rate}
        if "probe" in loaders:
            draw = balanced_sampler(loaders["probe"].labels, len(train.class_names))
            has["probe"] = ProbeSet(
                draw=partial(_draw_probe, loaders["probe"], draw, method.views[:1]),
                batches=loaders["probe"].iterate_dataset,
            )
        if "verified" in loaders:
            correct = torch.from_numpy(
                data.read_verified_correctness(Path(self.build), self.config)
            )
            has["verified"] = partial(_verified, loaders["verified"], correct)
        if "holdout" in loaders:
            has["holdout"] = loaders["holdout"].iterate_dataset
        return method(Task(net, len(train), len(train.class_names), how.epochs, **has), **options)

    def _folder(self, method: type[Method]) -> Path:
        if self.out is not None:
            return Path(self.out)
        said = [f"{k}-{v}" for k, v in sorted(self.options.items())]
        name = "_".join([_name(method), *said, f"s{self.seed}", *(["quick"] if self.quick else [])])
        return (
            Path("runs")
            / Path(self.build).resolve().name
            / self.config
            / re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
        )

    def _said(
        self,
        how: Preset,
        method: type[Method],
        options: Mapping[str, Any],
        splits: Mapping[str, data.Split],
    ) -> RunConfig:
        """Return what was asked of the run."""
        config = metadata.read_card(Path(self.build)).configs[self.config]
        net = how.net
        if callable(self.net):
            net = getattr(self.net, "__qualname__", repr(self.net))
        return RunConfig(
            build=str(self.build),
            config=self.config,
            noise=config.recipe.noise,
            level=config.level,
            data={name: split.digest for name, split in splits.items()},
            method=_name(method),
            options=options,
            net=net,
            seed=self.seed,
            preset=preset.recorded_preset(how),
            ranks=distributed.world_size(),
            pretrained=self.pretrained,
            weights=files.digest(self.weights) if self.weights else None,
            versions={"cnlw_tools": __version__, **devices.versions()},
            command=tuple(sys.argv),
        )


def _draw_probe(
    loader: BatchLoader,
    draw_positions: Callable[[int], torch.Tensor],
    views: tuple[str, ...],
    n: int,
) -> Batch:
    """Return n trusted examples, newly augmented."""
    return loader.draw_batch(draw_positions(n), views)


def _verified(loader: BatchLoader, correct: torch.Tensor) -> Iterator[tuple[Batch, torch.Tensor]]:
    """Yield the verified examples in order, each with whether its label is correct; correct: by row."""
    by_position = correct[torch.from_numpy(loader.split.rows)].to(loader.device)
    for batch in loader.iterate_dataset():
        yield batch, by_position[batch.index]


def _check(how: Preset, method: type[Method], options: Mapping[str, Any]) -> None:
    """Raise if a preset names a method that there is not or lacks a view, or if an option means nothing."""
    for name in how.methods:
        pick({**METHODS, _name(method): method}, name, "method of the preset")
    for view in method.views:
        if view not in ("plain", *how.views):
            lacks = f"{_name(method)} wants the view {view!r}, and the preset has only {', '.join(how.views)}"
            raise LookupError(f"{lacks}: add {view} = [...] under [views]")
    common = [name for name in COMMON if name in method.requires]
    known = [*list(inspect.signature(method.__init__).parameters)[2:], *common]
    for name in options:
        if name not in known:
            raise ValueError(
                f"unknown option {name!r} of {_name(method)}.{suggest(name, known)} There are: {', '.join(known)}"
            )
    check_number("noise_rate", options.get("noise_rate", 0), 0, 1)
    check_number("holdout", options.get("holdout", 0), 0, 0.9)


def _fits(how: Preset, method: Method) -> None:
    """Raise if a phase asks for a batch of more examples than there are."""
    for phase in method.phases():
        if round(how.batch_size * phase.batch_size_factor) > method.task.n_examples:
            asked = f"batch_size = {how.batch_size}" + (
                f" times {phase.batch_size_factor:g}" * (phase.batch_size_factor != 1)
            )
            most = f"give at most {int(method.task.n_examples / phase.batch_size_factor)}, by --batch-size or in a preset"
            raise ValueError(
                f"{asked}: that is more than the {method.task.n_examples} examples to train on: {most}"
            )


def _name(method: type[Method]) -> str:
    """Return a method's name in METHODS, or that of its class."""
    return next((name for name, known in METHODS.items() if known is method), method.__name__)
