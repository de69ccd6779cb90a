"""From a build and a few names to a trained network.

Trainer("builds/shapes", "red_40", method="mentormix").fit()
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnlw_tools import __version__, files
from cnlw_tools.card import metadata
from cnlw_tools.card.remote import local_build
from cnlw_tools.executor import Progress, limits, no_progress
from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.roots import require_root
from cnlw_tools.files.storage import RemoteFolder, is_address, local_path
from cnlw_tools.methods import METHODS, Batch, Method, ProbeSet, Task, VerifiedSource
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.validation import check_number
from cnlw_tools.recipe import preset as presets
from cnlw_tools.recipe.adapt import describe_adapted
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.run_files import CHECKPOINT, RunConfig, to_json_types
from cnlw_tools.registry import pick, suggest
from cnlw_tools.registry.counts import count_things
from cnlw_tools.trainer import data, nets
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.augment import compose
from cnlw_tools.trainer.batches import (
    BatchLoader,
    Normaliser,
    balanced_sampler,
    make_normaliser,
)
from cnlw_tools.trainer.image_sides import adapt_to_build
from cnlw_tools.trainer.loop import TrainingLoop
from cnlw_tools.trainer.nets.network import (
    HeightWidth,
    MakeNetwork,
    architecture_digest,
    build_own_network,
)
from cnlw_tools.trainer.nets.weights import weights_file
from cnlw_tools.trainer.network_input import describe_input, input_to_json
from cnlw_tools.trainer.own_code import code_digest
from cnlw_tools.trainer.pixel_cache import Resizing
from cnlw_tools.trainer.predict import TRAINER_OPTIONS, without_trainer_options
from cnlw_tools.trainer.run import Metrics, RunWriter
from cnlw_tools.trainer.run_upload import RunUpload, copy_run
from cnlw_tools.trainer.schedule import parse_schedule

# Share of the training set that is kept for methods that select by a holdout.
DEFAULT_HOLDOUT = 0.1


@dataclass
class Trainer:
    """One training run of a method on one config of a build. Call `fit` to train.

    The function `train` does the same in one call. A `Trainer` also gives access to the trained
    method. The last six fields in the table are not arguments; they are set during training.
    """

    build: Path | str  # folder or address of the build
    config: str  # name of the config in the build, such as red_40
    method: str | type[Method] = "vanilla"  # name of a method, or your own class
    # Name of a network, or a function that makes one; None: the network of the preset.
    net: str | MakeNetwork | None = None
    # A preset, its name or its file; None: the preset of the dataset.
    preset: str | Preset | None = None
    # Values that replace values of the preset: epochs, batch_size, lr ...
    changes: Mapping[str, Any] = field(default_factory=dict)
    # Options of the method, which replace options in the preset.
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False  # train only for the number of epochs that the preset gives as `quick`
    split: str = "train"  # name of the split to train on
    seed: int = 0  # seed of the run
    device: str = "auto"  # auto, cpu or cuda
    # Folder or address of the run; None: runs/BUILD/CONFIG/METHOD_sSEED.
    out: Path | str | None = None
    resume: bool = False  # continue the run in the folder ``out``
    overwrite: bool = False  # delete the run in the folder ``out``, and start again
    # Save the weights of the epoch with the best validation accuracy in best.pt.
    keep_best: bool = False
    pretrained: bool = False  # start from pretrained weights of torchvision or timm
    # Start from these weights: the path of a file, or the path or address of a run.
    weights: Path | str | None = None
    compile: bool = False  # compile the network with torch.compile
    graph: bool = False  # launch the operations of a step together, as a CUDA graph
    # Folder or address with your own pipelines/; None: only presets of the package are used.
    root: Path | str | None = None
    # Folder for decoded pixels; None: $CNLW_CACHE, or ~/.cache/cnlw_tools.
    cache: Path | str | None = None
    # Number of threads that decode images; None: one for each processor.
    decode_threads: int | None = None

    # The folder of the run, or of its local copy if ``out`` is an address.
    folder: Path = field(init=False)
    n_classes: int = field(init=False)  # the number of classes
    resizing: Resizing = field(init=False)  # the size of the images, and how they are resized
    # Normalises pixels, which are numbers from 0 to 1, for the network.
    normaliser: Normaliser = field(init=False)
    # A warning if there is only one epoch and the method has several stages; otherwise empty.
    note: str = field(init=False, default="")
    # The method after training; `trained_method.predict` needs normalised images.
    trained_method: Method = field(init=False)

    def __post_init__(self) -> None:
        """Raise ValueError if ``cache`` is an address, or another path one of no known storage."""
        for place in (self.out, self.root):
            if place is not None and is_address(place):
                RemoteFolder(place)
        if self.cache is not None:
            local_path(self.cache)

    def fit(
        self,
        progress: Progress = no_progress,
        on_epoch: Callable[[Metrics], None] = lambda metrics: None,
    ) -> Metrics:
        """Train to the end, and return three top-1 accuracies on the validation split, in percent.

        Args:
            progress: function that is called with the stage, the number of finished steps and the
                number of all steps
            on_epoch: function that is called with the metrics of each epoch

        Returns:
            last, best and mean10: the accuracies after the last and after the best epoch, and the
                mean accuracy over the last ten epochs

        Raises:
            LookupError: there is no method, network or config of this name
            ValueError, OSError: an argument is wrong, there is no such build or preset, or the
                training diverged: the loss or a prediction is not finite, or the loss is far too
                large
            TrainingStopped: a signal stopped the training; a trainer with ``resume`` continues it
        """
        device = devices.choose_device(self.device)
        devices.enable_fast_kernels(device)
        devices.respect_quota()
        devices.keep_freed_memory()
        with (
            devices.process_group(device),
            devices.explain_oom(device),
            devices.explain_compilation() if self.compile else nullcontext(),
        ):
            loop = self._build_loop(device, progress)
            summary = loop.fit(progress, on_epoch)
            self.trained_method = loop.method
            return summary

    def _build_loop(self, device: torch.device, progress: Progress) -> TrainingLoop:
        """Load data, build the method and open the run."""
        preset, method_class, options = self._resolve_choices()
        if self.graph:
            check_graph(method_class, device, self.compile)
        self.resizing = Resizing(preset.size, preset.resize)
        splits = self._load_splits(method_class, options, progress)
        loaders = self._build_loaders(preset, splits, device)
        torch.manual_seed(self.seed)
        method = self._build_method(preset, method_class, options, loaders)
        method.to(memory_format=torch.channels_last).to(device)
        check_batch_size(preset, method)
        self.note = describe_single_stage(method)
        distributed.broadcast_from_rank_zero([*method.parameters(), *method.buffers()])
        self.folder = self._run_folder(method_class)
        config = self._run_config(preset, method, options, splits)
        upload = RunUpload(self.out) if self.out is not None and is_address(self.out) else None
        run = RunWriter(self.folder, config, self.resume, self.overwrite, upload)
        loop = TrainingLoop(method, preset, loaders, run, self.seed, self.graph)
        network_input = describe_input(self.build_folder, self.resizing, loaders["train"])
        run.write_network_input(input_to_json(network_input))
        return loop

    def _resolve_choices(self) -> tuple[Preset, type[Method], dict[str, Any]]:
        """Return the preset, the method's class and its options, checked."""
        card = metadata.read_card(self.build_folder)
        config = pick(card.configs, self.config, f"config of {self.build}")
        self._check_splits(config)
        preset = self._resolved_preset
        method_class = self.method
        if isinstance(method_class, str):
            method_class = pick(METHODS, method_class, "method")
        preset_options = presets.method_options(preset, _method_name(method_class), config.level)
        options = {**preset_options, **self.options}
        check_method(preset, method_class)
        check_options(method_class, options)
        if callable(self.net) and (self.pretrained or self.weights):
            raise ValueError(
                "a network of your own begins with its own weights: omit pretrained and weights"
            )
        n_ranks = distributed.world_size()
        if preset.batch_size % n_ranks:
            raise ValueError(
                f"batch_size {preset.batch_size} is not a multiple of the {n_ranks} processes: "
                f"change one of the two"
            )
        return preset, method_class, options

    def _check_splits(self, config: metadata.ConfigCard) -> None:
        """Raise if the config has no split to learn from or to validate on."""
        for split in (self.split, "validation"):
            require_split(split, config.segments, f"{self.build}: {self.config}")

    @cached_property
    def build_folder(self) -> Path:
        """The folder of the build; for a build at an address, the folder of its local copy.

        Raises:
            ValueError, LookupError, OSError: there is no such build, or it has no such config
        """
        return local_build(self.build, self.config)

    def find_folder(self) -> Path:
        """Return the folder of the run; for a run at an address, the folder of its local copy.

        Raises:
            ValueError, LookupError, OSError: a field of the trainer is wrong
        """
        _, method_class, _ = self._resolve_choices()
        if self.out is not None and is_address(self.out):
            return copy_run(self.out)
        return self._run_folder(method_class)

    @property
    def place(self) -> Path | str:
        """The folder or the address of the run. It is known only after training has begun."""
        return self.out if self.out is not None and is_address(self.out) else self.folder

    def find_difference(self, config: RunConfig) -> str:
        """Return the names of the settings in which this run differs from another run.

        The names are separated by commas; if there are none, the string is empty. The images and
        labels of the two runs are not compared.

        Args:
            config: the content of config.json of the other run

        Raises:
            ValueError, LookupError, OSError: a field of the trainer is wrong
        """
        preset, method_class, options = self._resolve_choices()
        values = {
            "config": self.config,
            "method": _method_name(method_class),
            "options": options,
            "net": _network_name(self.net) if callable(self.net) else preset.net,
            "seed": self.seed,
            "pretrained": self.pretrained,
            "preset": presets.recorded_preset(preset),
        }
        names = [
            name for name, value in to_json_types(values).items() if getattr(config, name) != value
        ]
        return ", ".join(names)

    @property
    def epochs(self) -> int:
        """The number of epochs of the run."""
        return self._resolved_preset.epochs

    def describe(self) -> dict[str, str]:
        """Return a description of the run: a string for each of the keys method, data, net ...

        Call this function after training has begun, when the folder of the run is known.

        Raises:
            ValueError, LookupError, OSError: a field of the trainer is wrong
        """
        preset, method_class, options = self._resolve_choices()
        words = [f"{name}={value}" for name, value in sorted(options.items())]
        device = devices.choose_device(self.device)
        threads = f", {count_things(torch.get_num_threads(), 'thread')}"
        choice = self._preset_or_name
        return {
            "method": " ".join([_method_name(method_class), *words]),
            "data": f"{self.config} of {self.build}",
            "net": _network_name(self.net) if callable(self.net) else preset.net,
            "preset": choice if isinstance(choice, str) else "of your own",
            "epochs": str(preset.epochs),
            "batch": str(preset.batch_size),
            "seed": str(self.seed),
            "device": f"{device}{threads if device.type == 'cpu' else ''}",
            "folder": str(self.place),
        }

    @property
    def adapted_values(self) -> dict[str, str]:
        """The values of the preset that were adapted to the dataset: a string for each key."""
        return describe_adapted(self._requested_preset, self._resolved_preset)

    @cached_property
    def _requested_preset(self) -> Preset:
        """The preset that the user gives or names, or that of the dataset."""
        choice = self._preset_or_name
        if isinstance(choice, Preset):
            return choice
        return presets.read_preset(choice, self._preset_root)

    @cached_property
    def _preset_or_name(self) -> str | Preset:
        """What the user says of the preset, or the name of the dataset's."""
        if self.preset is not None:
            return self.preset
        dataset = metadata.read_card(self.build_folder).dataset
        return presets.preset_name_of(dataset, self._preset_root)

    @cached_property
    def _preset_root(self) -> Path:
        """The folder that holds pipelines/, which is copied from an address."""
        return require_root(self.root)

    @cached_property
    def _weights_path(self) -> Path | None:
        """The file of weights to begin with, which is copied from an address; None: new ones."""
        if self.weights is None:
            return None
        return weights_file(local_copy(self.weights, CHECKPOINT.__eq__))

    @cached_property
    def _resolved_preset(self) -> Preset:
        """The preset with the values that the user gives, and those that the data ask for."""
        preset = self._requested_preset
        changes: dict[str, Any] = {}
        if self.quick:
            changes["epochs"] = preset.quick
        if isinstance(self.net, str):
            changes["net"] = self.net
        for key, value in self.changes.items():
            if value is not None:
                changes[key] = value
        resolved = presets.change_preset(preset, changes)
        parse_schedule(resolved.schedule)  # for its errors
        if preset.adapt:
            build = self.build_folder
            config = pick(metadata.read_card(build).configs, self.config, f"config of {build}")
            self._check_splits(config)
            resolved = adapt_to_build(preset, changes, build, self.config, self.split)
        return resolved

    def _load_splits(
        self,
        method_class: type[Method],
        options: Mapping[str, Any],
        progress: Progress,
    ) -> dict[str, data.Split]:
        """Return the splits by name; rank zero decodes while the others wait."""
        build = self.build_folder
        cache = Path(self.cache) if self.cache else None
        threads = self.decode_threads or limits.cores()
        with devices.rank_zero_first():
            splits = data.load_splits(build, self.config, self.resizing, cache, threads, progress)
        if self.split != "train":
            splits["train"] = splits.pop(self.split)
        default = DEFAULT_HOLDOUT if "holdout" in method_class.requires else 0
        fraction = options.get("holdout", default)
        return splits | data.split_holdout(splits["train"], fraction)

    def _build_loaders(
        self,
        preset: Preset,
        splits: Mapping[str, data.Split],
        device: torch.device,
    ) -> dict[str, BatchLoader]:
        """Return a loader for each split."""
        views = {name: compose(operations) for name, operations in preset.views.items()}
        train = splits["train"]
        self.normaliser = make_normaliser(preset.pixel_scale, self.pretrained, train, device)
        loaders = {}
        for name, split in splits.items():
            loaders[name] = BatchLoader(split, device, self.seed, views, self.normaliser)
        return loaders

    def _build_method(
        self,
        preset: Preset,
        method_class: type[Method],
        options: Mapping[str, Any],
        loaders: Mapping[str, BatchLoader],
    ) -> Method:
        """Return the method, with a new network and all that it may use."""
        train = loaders["train"].split
        n_classes = self.n_classes = len(train.class_names)
        make_net = self._network_maker(preset, n_classes, train.image_size)
        if self.compile:
            make_net = devices.compiled(make_net)
        task = Task(
            make_net=make_net,
            n_examples=len(train),
            n_classes=n_classes,
            epochs=preset.epochs,
            probe=_probe_set(loaders, n_classes, method_class.views[:1]),
            verified=self._verified_source(loaders),
            holdout=loaders["holdout"].iterate_dataset if "holdout" in loaders else None,
            noise_rate=options.get("noise_rate"),
            label_counts=_count_labels(train.labels, n_classes),
        )
        return method_class(task, **without_trainer_options(options))

    def _network_maker(
        self,
        preset: Preset,
        n_classes: int,
        image_size: HeightWidth,
    ) -> Callable[[], nn.Module]:
        """Return a function that makes a network."""
        if callable(self.net):
            return partial(build_own_network, self.net, n_classes, image_size)
        return partial(
            nets.build_network,
            preset.net,
            n_classes,
            image_size,
            pretrained=self.pretrained,
            weights=self._weights_path,
        )

    def _verified_source(self, loaders: Mapping[str, BatchLoader]) -> VerifiedSource | None:
        if "verified" not in loaders:
            return None
        is_correct = data.read_verified_correctness(self.build_folder, self.config)
        return partial(_verified_batches, loaders["verified"], torch.from_numpy(is_correct))

    def _run_folder(self, method_class: type[Method]) -> Path:
        """Return the folder that the user asked for, or runs/BUILD/CONFIG/METHOD_OPTIONS_sSEED."""
        if self.out is not None:
            return RunUpload(self.out).folder if is_address(self.out) else Path(self.out)
        parts = [_method_name(method_class)]
        for option, value in sorted(self.options.items()):
            parts.append(f"{option}-{value}")
        parts.append(f"s{self.seed}")
        if self.quick:
            parts.append("quick")
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join(parts))
        return Path("runs") / self.build_folder.resolve().name / self.config / name

    def _run_config(
        self,
        preset: Preset,
        method: Method,
        options: Mapping[str, Any],
        splits: Mapping[str, data.Split],
    ) -> RunConfig:
        """Return what was asked of the run."""
        config = metadata.read_card(self.build_folder).configs[self.config]
        net, architecture = preset.net, None
        if callable(self.net):
            net = _network_name(self.net)
            architecture = architecture_digest(method.net)
        return RunConfig(
            build=str(self.build),
            config=self.config,
            noise=config.recipe.noise,
            level=config.level,
            data={name: split.digest for name, split in splits.items()},
            method=_method_name(type(method)),
            options=options,
            net=net,
            seed=self.seed,
            preset=presets.recorded_preset(preset),
            ranks=distributed.world_size(),
            pretrained=self.pretrained,
            weights=files.digest(self._weights_path) if self._weights_path else None,
            versions={"cnlw_tools": __version__, **devices.versions()},
            command=tuple(sys.argv),
            split=self.split,
            architecture=architecture,
            marks_noise=method.marks_noise,
            keep_best=self.keep_best,
            code=self._own_code(method),
            is_staged=method.is_staged,
        )

    def _own_code(self, method: Method) -> str | None:
        """Return a digest of the code of a user's method or network; None without one."""
        things: list[object] = []
        if type(method) not in METHODS.values():
            things.append(type(method))
        if callable(self.net):
            things += [self.net, *(type(layer) for layer in method.net.modules())]
        return code_digest(things) if things else None


def _count_labels(labels: NDArray[np.int64], n_classes: int) -> tuple[int, ...]:
    """Return the number of examples of each label, (K,)."""
    return tuple(np.bincount(labels, minlength=n_classes).tolist())


def _probe_set(
    loaders: Mapping[str, BatchLoader],
    n_classes: int,
    views: tuple[str, ...],
) -> ProbeSet | None:
    """Return the trusted set of a build, if it has one."""
    if "probe" not in loaders:
        return None
    loader = loaders["probe"]
    draw_positions = balanced_sampler(loader.labels, n_classes)
    return ProbeSet(
        draw=partial(_draw_batch, loader, draw_positions, views),
        batches=loader.iterate_dataset,
    )


def _draw_batch(
    loader: BatchLoader,
    draw_positions: Callable[[int], Tensor],
    views: tuple[str, ...],
    n: int,
) -> Batch:
    """Return n random examples, newly augmented."""
    return loader.draw_batch(draw_positions(n), views)


def _verified_batches(loader: BatchLoader, is_correct: Tensor) -> Iterator[tuple[Batch, Tensor]]:
    """Yield the verified examples in order, each batch with whether its labels are correct, (B,).

    Args:
        loader: of the verified split
        is_correct: (n,) by row of the build
    """
    rows = torch.from_numpy(loader.split.rows)
    is_correct_by_position = is_correct[rows].to(loader.device)
    for batch in loader.iterate_dataset():
        yield batch, is_correct_by_position[batch.index]


def require_split(split: str, splits: Mapping[str, Any], place: str) -> None:
    """Raise ValueError if the splits of a config lack one; the message begins with the place."""
    if split not in splits:
        names = ", ".join(splits)
        raise ValueError(
            f"{place} has no split {split!r}, only {names}: build it with --{split}, for "
            f"example --{split} 20"
        )


def check_method(preset: Preset, method_class: type[Method]) -> None:
    """Raise if a preset names an unknown method, or lacks a view that the method needs."""
    method_name = _method_name(method_class)
    known_names = dict.fromkeys([*METHODS, method_name])
    for name in preset.methods:
        pick(known_names, name, "method of the preset")
    for view in method_class.views:
        if view not in ("plain", *preset.views):
            raise LookupError(
                f"{method_name} needs the view {view!r}, but the preset has only "
                f"{', '.join(preset.views)}: add {view} = [...] under [views]"
            )


def check_options(method_class: type[Method], options: Mapping[str, Any]) -> None:
    """Raise if an option is unknown, or one of the trainer's own is out of range."""
    parameters = list(inspect.signature(method_class.__init__).parameters)
    names = parameters[2:]  # without self and the task
    names += [name for name in TRAINER_OPTIONS if name in method_class.requires]
    for option in options:
        if option not in names:
            raise ValueError(
                f"unknown option {option!r} of {_method_name(method_class)}."
                f"{suggest(option, names)} The choices are: {', '.join(names) or 'none'}"
            )
    check_number("noise_rate", options.get("noise_rate", 0), 0, 1)
    check_number("holdout", options.get("holdout", 0), 0, 0.9)


def check_graph(method_class: type[Method], device: torch.device, compiles: bool) -> None:
    """Raise if a training cannot repeat its steps as a CUDA graph."""
    name = _method_name(method_class)
    reason = ""
    if device.type != "cuda":
        reason = f"a CUDA graph needs a GPU, and the device is {device}"
    elif distributed.is_distributed():
        reason = f"of {distributed.world_size()} processes each would wait for the others within it"
    elif compiles:
        reason = "a compiled network is repeated in another way: give one of the two"
    elif method_class.repeats_within is None:
        reason = f"a step of {name} computes with numbers that differ from step to step"
    if reason:
        raise ValueError(f"--graph: {reason}: omit --graph")


def check_batch_size(preset: Preset, method: Method) -> None:
    """Raise if a phase asks for batches of more examples than there are."""
    n_examples = method.task.n_examples
    for phase in method.phases():
        factor = phase.batch_size_factor
        if round(preset.batch_size * factor) <= n_examples:
            continue
        times = f" times {factor:g}" if factor != 1 else ""
        raise ValueError(
            f"batch_size = {preset.batch_size}{times}: that is more than the {n_examples} "
            f"examples to train on: give at most {int(n_examples / factor)}, "
            f"by --batch-size or in a preset"
        )


def describe_single_stage(method: Method) -> str:
    """Return what a run of one epoch leaves out of a method in stages; empty if it leaves nothing.

    Methods refuse other numbers of epochs that are too few for their stages.
    """
    if method.is_staged and method.task.epochs == 1:
        return "one epoch is one stage of this method: the result is not that of the method"
    return ""


def _network_name(make_network: MakeNetwork) -> str:
    """Return the name of a function that makes networks, the same in every process."""
    while isinstance(make_network, partial):
        make_network = make_network.func
    return getattr(make_network, "__qualname__", type(make_network).__qualname__)


def _method_name(method_class: type[Method]) -> str:
    """Return the name of a method in METHODS, or else that of its class."""
    for name, candidate in METHODS.items():
        if candidate is method_class:
            return name
    return method_class.__name__
