"""The public API: the commands as Python functions, all in `import cnlw_tools as cnlw`.

    build = cnlw.build("shapes", noise="red", levels=[0, 40])
    build.validate()
    train = build.load("red_40", split="train")
    run = cnlw.train(build, "red_40", method="mentormix", quick=True)

Every function has the defaults and the errors of the command of the same name. Heavy packages
(torch, datasets, pandas) are imported only when they are needed.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cnlw_tools.executor import LOCAL, Executor, Progress, open_executor
from cnlw_tools.executor.progress import ProgressBars
from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.outputs import output_file
from cnlw_tools.files.roots import open_root, require_root
from cnlw_tools.files.storage import below, is_address, local_path
from cnlw_tools.recipe.inputs import Inputs, SourceOptions
from cnlw_tools.recipe.strict import read_dataclass

if TYPE_CHECKING:
    from collections import Counter

    import pandas as pd
    import pyarrow as pa

    from cnlw_tools.builds.hub import PushSummary
    from cnlw_tools.builds.rebuild import RebuildSummary
    from cnlw_tools.card.metadata import BuildCard, ConfigCard
    from cnlw_tools.checks import CheckResult, Finding
    from cnlw_tools.methods import Method
    from cnlw_tools.noise import Expected, NoiseModel
    from cnlw_tools.recipe.inputs import NamedSource
    from cnlw_tools.recipe.preset import Preset
    from cnlw_tools.recipe.recipe import Recipe
    from cnlw_tools.recipe.run_files import RunConfig
    from cnlw_tools.reports.statistics import MeanInterval
    from cnlw_tools.store.outcomes import Tally
    from cnlw_tools.study.workers import Outcome, SweepPaths
    from cnlw_tools.trainer import Trainer

PathLike = str | Path
DonorDirs = Mapping[str, PathLike | None] | Sequence[str]
Folders = PathLike | Sequence[PathLike]


@dataclass(frozen=True, slots=True)
class Build:
    """A build in a folder or at an address: images and labels, in configs such as ``red_40``.

    The files of a build at an address, such as ``s3://bucket/shapes``, are copied into a cache on
    this machine before they are read.

    Example:
        >>> build = cnlw.Build("builds/shapes")
        >>> build.configs["red_40"].rate
        0.4
    """

    path: Path

    def __init__(self, path: PathLike) -> None:
        """Open a build.

        Raises:
            ValueError: the folder holds no build
        """
        from cnlw_tools.card.metadata import read_card
        from cnlw_tools.card.remote import local_build

        folder = local_build(path)
        read_card(folder)
        object.__setattr__(self, "path", folder)

    @property
    def card(self) -> "BuildCard":
        """The contents of the build's card, as a `BuildCard` object."""
        from cnlw_tools.card.metadata import read_card

        return read_card(self.path)

    @property
    def configs(self) -> dict[str, "ConfigCard"]:
        """A dictionary that maps the name of each config to its entry on the card."""
        return self.card.configs

    def load(self, config: str, split: str | None = None) -> Any:
        """Load a config of the build, as `load_dataset` does.

        Raises:
            LookupError: the build has no config of this name
        """
        return load_dataset(self, config, split)

    def validate(self, **choices: Any) -> "ValidationReport":
        """Run all checks on the build; the arguments are those of `validate`."""
        report: ValidationReport = validate(self, **choices)
        return report

    def export(
        self,
        exporter: str,
        config: str,
        out: PathLike,
        *,
        progress: bool = True,
        **options: Any,
    ) -> PathLike:
        """Write a config in the format of another program, and return the new folder.

        If something is missing from the new files, such as the labels of some images, a warning
        says so.

        Args:
            exporter: format to write: imagefolder, labels, npz or webdataset; see
                `cnlw list exporters`
            config: name of the config, such as red_40
            out: folder to create, or its address
            progress: show a progress bar
            **options: options of the exporter, such as truth=True

        Raises:
            LookupError: there is no such exporter or config
            OSError: the files cannot be written; none of them is left incomplete

        Example:
            >>> build = cnlw.Build("builds/shapes")
            >>> folder = build.export("npz", "red_40", "arrays", truth=True)
            >>> sorted(path.name for path in folder.iterdir())
            ['train.npz', 'validation.npz']
        """
        from cnlw_tools.builds.exporters import export

        folder = _to_place(out)
        with ProgressBars(progress) as bars:
            notes = export(exporter, self.path, config, folder, options, bars)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return folder

    def write_gallery(
        self,
        out: PathLike,
        *,
        config: str | None = None,
        runs: PathLike | None = None,
        duplicates: bool = False,
        progress: bool = True,
    ) -> Path:
        """Write a folder with a web page of all images, and return the path of the page.

        The page can be opened without a server. Images from the web belong to other people, so
        check that you may distribute them before you send the folder to anyone.

        Args:
            out: folder to write; an earlier gallery in the folder is replaced
            config: show only this config, such as red_40. Default: all configs
            runs: folder or address of runs; the page then shows which labels the methods of these
                runs treated as wrong. A warning names runs that cannot be shown
            duplicates: also find images that look almost the same
            progress: show a progress bar

        Raises:
            LookupError: there is no such config
            OSError: ``out`` holds something other than a gallery, or cannot be written; no
                incomplete gallery remains

        Example:
            >>> build = cnlw.Build("builds/shapes")
            >>> page = build.write_gallery("gallery", config="red_40")
            >>> page.name
            'index.html'
        """
        from cnlw_tools.browser.gallery import GalleryOptions, make_gallery
        from cnlw_tools.browser.static_folder import check_folder, write_folder
        from cnlw_tools.reports.remote import copy_runs

        folder = local_path(out)
        check_folder(folder)
        with ProgressBars(progress) as bars:
            run_folder = None if runs is None else copy_runs(runs, bars)
            options = GalleryOptions(config, run_folder, duplicates)
            items, pictures = make_gallery(self.path, options, bars, _warn_of)
            write_folder(folder, items, pictures, bars)
        return folder / "index.html"

    def push(
        self,
        repository: str,
        *,
        private: bool = False,
        gated: bool = False,
        tag: str = "",
        engine: str = "local",
        workers: int | None = None,
        progress: bool = True,
    ) -> "PushSummary":
        """Check the build, and upload it to a dataset repository on the Hugging Face Hub.

        If a push is interrupted, the next call continues it. If the Hub returns warnings about the
        card, they are issued as Python warnings.

        Args:
            repository: OWNER/NAME of the repository, which is created if it does not exist
            private: create a repository that only its owner can see. A repository that exists
                already must be private
            gated: require people to give their name and e-mail address before they download
            tag: name of this version, such as v1. Default: no tag
            engine: where the checks run: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT
            workers: number of worker processes. Default: one for each processor
            progress: show progress bars

        Returns:
            the URL of the repository, and how many files were uploaded and deleted

        Raises:
            ValueError: a check found an error, the name of the repository or of the tag is invalid,
                the repository is public although ``private`` is set, or the tag already marks
                another build
            OSError: the Hub refused the push, the connection was lost, or the repository holds
                something other than a build
        """
        from cnlw_tools.builds.hub import check_names, push_build
        from cnlw_tools.checks.require import require_sound

        check_names(repository, tag)
        with open_executor(engine, workers) as executor, ProgressBars(progress) as bars:
            require_sound(self.path, executor, bars)
            summary = push_build(
                self.path, repository, private=private, gated=gated, tag=tag, progress=bars
            )
        for note in summary.notes:
            warnings.warn(note, stacklevel=2)
        return summary

    def archive(
        self,
        out: PathLike,
        *,
        engine: str = "local",
        workers: int | None = None,
        progress: bool = True,
    ) -> PathLike:
        """Check the build, and write it as one zip file, for example for Zenodo.

        Archives of the same build are byte-identical.

        Args:
            out: file to write, or its address; its name must end with .zip
            engine: where the checks run: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT
            workers: number of worker processes. Default: one for each processor
            progress: show progress bars

        Raises:
            ValueError: a check found an error, or the name of the file does not end with .zip
            OSError: the file cannot be written

        Example:
            >>> cnlw.Build("builds/shapes").archive("shapes.zip").name
            'shapes.zip'
        """
        from cnlw_tools.builds.archive import write_archive
        from cnlw_tools.checks.require import require_sound

        place = _to_place(out)
        with (
            output_file(place) as path,
            open_executor(engine, workers) as executor,
            ProgressBars(progress) as bars,
        ):
            require_sound(self.path, executor, bars)
            write_archive(self.path, path, bars)
        return place


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The result of `validate`: what the checks of a build found.

    ``str(report)`` lists the findings.
    """

    build: Path  # the folder of the build
    # The result of each check: `name`, `claim`, `findings`, and `skipped` (why the check did not
    # run, or None if it ran).
    results: "list[CheckResult]"

    @property
    def findings(self) -> "list[Finding]":
        """The errors and notes of all checks."""
        return [finding for result in self.results for finding in result.findings]

    @property
    def errors(self) -> "list[Finding]":
        """The findings that are errors. A build with errors should not be used."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def ok(self) -> bool:
        """True if no check found an error."""
        return not self.errors

    def __str__(self) -> str:
        from cnlw_tools.checks.finding import count_findings

        lines = [f"{self.build}: {count_findings(self.findings)}"]
        for finding in self.findings:
            lines.append(f"{finding.severity}: {finding.location}: {finding.message}")
            for effect in finding.consequences:
                lines.append(f"    {effect.check}: {effect.location}: {effect.message}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of `plan`: the image and the label of each slot, for one setting of the noise."""

    table: "pa.Table"  # a pyarrow table with one row for each slot
    config: str  # the name that the config of this plan has in a build
    # Expected statistics of the split train: `rate` (share of wrong labels), `foreign_rate` (share
    # of images that are not of the dataset) and `matrix`, (C, C): for each true class, the share of
    # each given label.
    expected: "Expected"
    realised: "Expected"  # the same statistics, counted in the table

    @property
    def digest(self) -> str:
        """The sha256 of the rows; plans with the same digest are identical."""
        from cnlw_tools.dataset import hashing

        return hashing.digest(self.table)

    def to_pandas(self) -> "pd.DataFrame":
        """Return the table as a DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one training run, in a folder or at an address.

    The files of a run at an address are copied into a cache on this machine before they are read.
    """

    path: Path

    def __init__(self, path: PathLike) -> None:
        """Name the folder or the address of a run.

        Raises:
            OSError: the address cannot be read
        """
        from cnlw_tools.trainer.run_upload import copy_run

        object.__setattr__(self, "path", copy_run(path))

    @property
    def config(self) -> "RunConfig":
        """The method, the data and the settings of the training."""
        from cnlw_tools.recipe.run_files import read_config

        return read_config(self.path)

    @property
    def result(self) -> dict[str, float]:
        """Top-1 accuracy on the validation images, in percent.

        ``last`` is the accuracy after the last epoch, ``best`` is the accuracy after the best
        epoch, and ``mean10`` is the mean over the last ten epochs.

        Raises:
            ValueError: the run has not ended
        """
        from dataclasses import asdict

        from cnlw_tools.recipe.run_files import read_result

        result = read_result(self.path)
        if result is None:
            raise ValueError(f"{self.path}: the run has not ended: train again with resume=True")
        return asdict(result.validation)

    @property
    def history(self) -> "pd.DataFrame":
        """The metrics of all epochs, one row for each epoch."""
        import pandas as pd

        from cnlw_tools.recipe.run_files import read_metrics

        return pd.DataFrame(read_metrics(self.path))

    @property
    def examples(self) -> "pd.DataFrame":
        """The loss and the weight of each training example in each epoch.

        The column ``row`` is the row of the example in the training split of the build.
        """
        return _read_parquet(self.path / "examples.parquet")

    @property
    def predictions(self) -> "pd.DataFrame":
        """The predictions for all validation and test images after the last epoch.

        The columns are split, row (in the split of the build), label, prediction, confidence (the
        probability of the prediction) and p_label (the probability of the label).
        """
        return _read_parquet(self.path / "predictions.parquet")

    @property
    def classified_as_noisy(self) -> "pd.DataFrame":
        """The training examples whose labels the method treated as wrong in the last epoch.

        The columns are run, row (of the training split), image_id, given_label, verdict (removed,
        down_weighted or relabelled), loss and weight.

        Raises:
            ValueError, LookupError, OSError: the run recorded no losses or weights, or its build
                no longer exists
        """
        from cnlw_tools.builds import ground_truth
        from cnlw_tools.reports.classified_as_noisy import list_classified_as_noisy
        from cnlw_tools.reports.runs import read_run_folders

        (run,) = read_run_folders(self.path)
        truth = ground_truth.load(run.copy_build(), run.config.config)
        frame: pd.DataFrame = list_classified_as_noisy(run, truth).to_pandas()
        return frame

    def predict(self, images: PathLike, **choices: Any) -> "pd.DataFrame":
        """Predict the classes of your own images; the other arguments are those of `predict`."""
        return predict(self, images, **choices)


@dataclass(frozen=True, slots=True)
class SeedRuns:
    """Runs that differ only in their seed; `train` returns them if you pass ``seeds``."""

    runs: tuple[Run, ...]  # the run of each seed

    @property
    def result(self) -> "dict[str, MeanInterval]":
        """The mean and the 95 % t-interval of each result (last, best, mean10) over the seeds."""
        from cnlw_tools.reports.statistics import mean_interval

        results = [run.result for run in self.runs]
        return {name: mean_interval([result[name] for result in results]) for name in results[0]}


@dataclass(frozen=True, slots=True)
class RunsReport:
    """The result of `report`: where the report is and which results are missing."""

    page: Path | str  # path or address of index.html; tables and figures are in the same folder
    notes: list[str]  # which results are missing from the report, and why


@dataclass(frozen=True, slots=True)
class FetchedStore:
    """The result of `fetch_images` or `join_stores`: a store, and counts of its URLs."""

    path: PathLike  # the folder of the store, or its address
    counts: "Counter[str]"  # the number of URLs with each outcome: ok, http_404 ...
    n_new: int  # the number of URLs whose outcome this call wrote into the store
    # The number of URLs that still have no outcome; after `join_stores`, the number of damaged
    # images that were not copied.
    n_left: int


@dataclass(frozen=True, slots=True)
class StudyRuns:
    """The result of `sweep`: the runs of a study."""

    path: PathLike  # the folder or the address of all runs
    runs: dict[str, Run]  # the finished runs, by the name of the run
    failures: dict[str, str]  # the reason for each failure, by the name of the run


def build(
    dataset: "str | NamedSource | None" = None,
    noise: "str | NoiseModel | None" = None,
    *,
    level: int | None = None,
    levels: Sequence[int] | None = None,
    recipe: PathLike | None = None,
    out: PathLike | None = None,
    root: PathLike | None = None,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    previous: PathLike | None = None,
    join: Folders = (),
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
    **choices: Any,
) -> Build:
    """Add noise of one or several levels to a dataset, and write images and labels into a build.

    Args:
        dataset: name of a dataset, or your own source. Default: the recipe's dataset, or `shapes`
        noise: name of a noise model, or your own `NoiseModel`. Default: the recipe's noise model
        level: one level in percent. Default: the levels of the recipe
        levels: several levels in percent, instead of ``level``
        recipe: a TOML file, or the name of a recipe. Default: DATASET_NOISE
        out: folder or address; configs of an earlier build there are kept. Default: builds/DATASET
        root: folder or address of your manifests/, annotations/ and pipelines/. Default: none
        data_dir: folder or address of your copy of the images
        donors: other datasets whose images the noise uses, and the folders of these images
        store: folder or address of web images that `cnlw fetch` or `cnlw store pack` wrote
        previous: an earlier build, or its address; the card of the new build lists what changed
        join: folders or addresses that `build_shard` wrote, or a folder that contains them
        engine: where the work runs: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT
        workers: number of processes. Default: one for each processor, or 1 for a source in __main__
        progress: show progress bars
        **choices: other keys of a `Recipe`: options, seed, size, probe, train_size ...

    Raises:
        ValueError, LookupError, OSError: an argument or file is invalid; no incomplete file remains

    Example:
        >>> sorted(cnlw.build("shapes", noise="red", levels=[0, 40]).configs)
        ['red_00', 'red_40']
    """
    inputs = _make_inputs(root, data_dir, donors, store, dataset)
    resolved_recipe = _resolve_recipe(dataset, noise, level, levels, recipe, inputs, choices)
    with _open_executor(engine, workers, inputs.source) as executor:
        return _build_at(out, resolved_recipe, inputs, previous, join, executor, progress)


def _build_at(
    out: PathLike | None,
    recipe: "Recipe",
    inputs: Inputs,
    previous: PathLike | None,
    join: Folders,
    executor: Executor,
    progress: bool,
) -> Build:
    """Build a recipe in a folder, or at an address."""
    from cnlw_tools.builds.remote import build_at

    place = _build_place(out, recipe)
    with ProgressBars(progress) as bars:
        build_at(recipe, inputs, place, executor, bars, _list_places(join), previous)
    return Build(place)


def _build_place(out: PathLike | None, recipe: "Recipe") -> PathLike:
    return out if out is not None else Path("builds") / recipe.dataset


def build_shard(
    shard: str,
    dataset: "str | NamedSource | None" = None,
    noise: "str | NoiseModel | None" = None,
    *,
    level: int | None = None,
    levels: Sequence[int] | None = None,
    recipe: PathLike | None = None,
    out: PathLike | None = None,
    root: PathLike | None = None,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
    **choices: Any,
) -> PathLike:
    """Write one of several parts of a build, and return the folder or address of the part.

    When all parts have been written, call `build` to complete the build. Arguments that are not
    described here, and the errors, are the same as for `build`.

    Args:
        shard: the part to write: 2/5 is the second of five parts
        out: folder or address to write to. If the parts have different folders, pass these to
            `build` as ``join``. Default: builds/DATASET
        **choices: other keys of a recipe, as for `build`

    Example:
        >>> for shard in ("1/2", "2/2"):
        ...     folder = cnlw.build_shard(shard, "shapes", "red", level=40, out=f"parts/{shard[0]}")
        >>> build = cnlw.build("shapes", "red", level=40, out="joined", join="parts")
    """
    from cnlw_tools.builds.remote import build_shard_at
    from cnlw_tools.executor.work_shard import parse_work_shard

    work_shard = parse_work_shard(shard)
    inputs = _make_inputs(root, data_dir, donors, store, dataset)
    resolved_recipe = _resolve_recipe(dataset, noise, level, levels, recipe, inputs, choices)
    place = _build_place(out, resolved_recipe)
    with _open_executor(engine, workers, inputs.source) as executor, ProgressBars(progress) as bars:
        summary = build_shard_at(resolved_recipe, inputs, place, work_shard, executor, bars)
    return place if is_address(place) else summary.folder


def _paths_as_text(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return choices in which no value is a `Path`."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in choices.items()
    }


def _list_places(places: Folders) -> list[PathLike]:
    """Return one folder or address, or several, as a list."""
    return [places] if isinstance(places, str | Path) else list(places)


def _copy_places(places: Folders, progress: Progress) -> list[Path]:
    """Return folders of this machine; those of addresses are copied into the cache first."""
    return [local_copy(place, progress=progress) for place in _list_places(places)]


def plan(
    dataset: "str | NamedSource | None" = None,
    noise: "str | NoiseModel | None" = None,
    *,
    level: int | None = None,
    recipe: PathLike | None = None,
    root: PathLike | None = None,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    **choices: Any,
) -> Plan:
    """Draw the noise of one config, and return it as a `Plan`. No file is written.

    Arguments that are not described here are the same as for `build`.

    Args:
        level: level of noise in percent. Default: the level of the recipe, if it has only one
        **choices: other keys of a recipe, as for `build`

    Raises:
        ValueError, LookupError: a name or a value is wrong, a class has too few images, or
            ``level`` is None and the recipe has several levels
        OSError: there is no such recipe, or a table cannot be read

    Example:
        >>> plan = cnlw.plan("shapes", noise="symmetric", level=40)
        >>> plan.expected.rate, plan.realised.rate
        (0.4, 0.4)
    """
    from cnlw_tools.ingest.resolve import load_dataset as load_tables
    from cnlw_tools.plans.plan import config_name, expected_stats, recipe_levels
    from cnlw_tools.plans.plan import plan as draw_plan
    from cnlw_tools.plans.statistics import realised_stats

    inputs = _make_inputs(root, data_dir, donors, store, dataset)
    resolved_recipe = _resolve_recipe(dataset, noise, level, None, recipe, inputs, choices)
    with _open_executor(engine, workers, inputs.source) as executor:
        tables = load_tables(resolved_recipe, inputs, executor)
    levels = recipe_levels(resolved_recipe, tables)
    _check_single(levels)
    table = draw_plan(resolved_recipe, tables, levels[0])
    return Plan(
        table=table,
        config=config_name(resolved_recipe, levels[0]),
        expected=expected_stats(resolved_recipe, tables, levels[0])["train"],
        realised=realised_stats(table, len(tables.classes)),
    )


def _check_single(levels: Sequence[int | None]) -> None:
    if len(levels) != 1:
        raise ValueError(
            f"a plan has one level, but the recipe has {len(levels)}: give one, such as level=40"
        )


def load_dataset(build: Build | PathLike, config: str, split: str | None = None) -> Any:
    """Load a config of a build with the package `datasets` of Hugging Face.

    Returns:
        a `datasets.Dataset` with the split, or, without ``split``, a `datasets.DatasetDict` with
            all splits

    Raises:
        LookupError: the build has no config of this name

    Example:
        >>> train = cnlw.load_dataset("builds/shapes", "red_40", split="train")
        >>> sum(train["is_noisy"]) / len(train)
        0.4
    """
    from cnlw_tools.registry import pick

    opened = _open_build(build)
    pick(opened.configs, config, f"config of {opened.path}")
    import datasets

    return datasets.load_dataset(str(opened.path), config, split=split)


def validate(
    build: Build | PathLike | None = None,
    *,
    source: "NamedSource | None" = None,
    end_to_end: bool = False,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    cache: PathLike | None = None,
    join: Folders = (),
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
) -> ValidationReport:
    """Check that every claim on the card of a build is true.

    The arguments ``source``, ``data_dir``, ``donors`` and ``store`` say where the original images
    are. With them, the images in the build are compared with the originals.

    Args:
        build: the build, its folder or its address. Default: the newest build in builds/
        source: your own source, if the build was made from one
        end_to_end: also train briefly on every config, and check how the noise affects accuracy
        data_dir: folder or address of your copy of the images
        donors: other datasets whose images the build uses, and the folders of these images
        store: folder or address of web images that `cnlw fetch` or `cnlw store pack` wrote
        cache: folder for decoded pixels, for ``end_to_end``. Default: the cache of `cnlw train`
        join: folders or addresses of findings that `validate_shard` wrote. The images that these
            findings cover are not inspected again
        engine: where the work runs: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT
        workers: number of worker processes. Default: one for each processor
        progress: show progress bars

    Raises:
        ValueError, OSError: there is no build to check; errors in a build raise no exception

    Example:
        >>> cnlw.validate("builds/shapes").ok
        True
    """
    from cnlw_tools.builds.build import last_build
    from cnlw_tools.checks import collect_evidence
    from cnlw_tools.checks import validate as run_all

    folder = _open_build(build).path if build is not None else last_build(Path("builds"))
    inputs = _make_inputs(None, data_dir, donors, store, source)
    with _open_executor(engine, workers, source) as executor, ProgressBars(progress) as bars:
        evidence = collect_evidence(folder, inputs, executor, bars, _copy_places(join, bars))
        results = run_all(evidence, executor if end_to_end else None, bars, _to_path(cache))
    return ValidationReport(folder, results)


def validate_shard(
    shard: str,
    build: Build | PathLike | None = None,
    *,
    out: PathLike,
    source: "NamedSource | None" = None,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
) -> PathLike:
    """Inspect one part of the images of a build, and return the path of the file of findings.

    When all parts have been inspected, call `validate`, and pass it, as ``join``, the folders that
    hold the findings. If parts are missing, `validate` inspects them itself. Arguments that are not
    described here are the same as for `validate`.

    Args:
        shard: the part to inspect: 2/5 is the second of five parts
        out: folder or address for the file of findings

    Raises:
        ValueError, OSError: there is no build to check, or ``shard`` does not have the form K/N,
            such as 2/5

    Example:
        >>> file = cnlw.validate_shard("1/2", "builds/shapes", out="checks")
        >>> cnlw.validate("builds/shapes", join="checks").ok
        True
    """
    from cnlw_tools.builds.build import last_build
    from cnlw_tools.checks.collect import inspect_shard, open_findings
    from cnlw_tools.executor.work_shard import parse_work_shard

    work_shard = parse_work_shard(shard)
    folder = _open_build(build).path if build is not None else last_build(Path("builds"))
    inputs = _make_inputs(None, data_dir, donors, store, source)
    with (
        open_findings(out, work_shard) as findings,
        _open_executor(engine, workers, source) as executor,
        ProgressBars(progress) as bars,
    ):
        path = inspect_shard(folder, findings, work_shard, inputs, executor, bars)[0]
    return below(out, path.name)


def rebuild(
    published: Build | PathLike,
    out: PathLike,
    *,
    configs: Sequence[str] = (),
    root: PathLike | None = None,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
) -> "RebuildSummary":
    """Rebuild a published build from your own images, and compare the two byte by byte.

    Args:
        published: the published build, its folder, or its address. Its images are read only if
            files differ
        out: folder or address of the new build; not written if an image is missing or differs
        configs: names of the configs to make. Default: all
        root: folder or address with your own tables of donors. Default: none
        data_dir: folder or address of your copy of the images
        donors: other datasets whose images the build uses, and the folders of these images
        store: folder or address of web images that `cnlw fetch` or `cnlw store pack` wrote
        engine: where the work runs: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT
        workers: number of worker processes. Default: one for each processor
        progress: show progress bars

    Returns:
        a summary that says whether all bytes are the same, and which files and images differ

    Raises:
        LookupError: the published build has no such config
        ValueError: ``out`` is the folder of ``published``, the tables of ``published`` do not match
            the digests on its card, or this version of the package draws different plans
        OSError: a file cannot be read or written

    Example:
        >>> cnlw.rebuild("builds/shapes", "again").is_same
        True
    """
    from cnlw_tools.builds.rebuild import rebuild as make_again
    from cnlw_tools.card.remote import published_file, published_folder

    place = published.path if isinstance(published, Build) else published
    inputs = _make_inputs(root, data_dir, donors, store)
    with open_executor(engine, workers) as executor, ProgressBars(progress) as bars:
        folder = published_folder(place, bars)
        find_file = partial(published_file, place)
        return make_again(folder, inputs, _to_place(out), configs, executor, bars, find_file)


@overload
def train(
    build: Build | PathLike,
    config: str,
    method: "str | type[Method]" = "vanilla",
    *,
    seeds: int | Sequence[int],
    **choices: Any,
) -> SeedRuns: ...


@overload
def train(
    build: Build | PathLike,
    config: str,
    method: "str | type[Method]" = "vanilla",
    *,
    seeds: None = None,
    **choices: Any,
) -> Run: ...


def train(
    build: Build | PathLike,
    config: str,
    method: "str | type[Method]" = "vanilla",
    *,
    net: str | Callable[[int, tuple[int, int]], Any] | None = None,
    preset: "str | Preset | None" = None,
    seeds: int | Sequence[int] | None = None,
    progress: bool = True,
    **choices: Any,
) -> Run | SeedRuns:
    """Train a method on one config of a build, with one seed or with several.

    Args:
        build: the build, its folder or its address
        config: name of the config, such as red_40
        method: name of a method, or your own `Method` class
        net: name of a network, or a function that makes a network from the number of classes and
            the (height, width) of the images. Default: the network of the preset
        preset: a preset, its name or its file. Default: the preset of the dataset
        seeds: a list of seeds, or a number n for the seeds 0 to n - 1. Finished runs are skipped,
            and interrupted runs are resumed. Default: a single run, with the argument ``seed``
        progress: show progress bars
        **choices: other arguments of `Trainer`: options, changes, quick, seed, device, out ...

    Raises:
        ValueError, LookupError, OSError: an argument is wrong, or the training diverged
        TypeError: an argument has an unknown name
        TrainingStopped: a signal stopped the training; call again with resume=True to continue

    Example:
        >>> run = cnlw.train("builds/shapes", "red_40", method="mixup", quick=True)
        >>> sorted(run.result)
        ['best', 'last', 'mean10']
        >>> {"epoch", "row", "loss", "weight"} <= set(run.examples.columns)
        True
        >>> cnlw.train("builds/shapes", "red_40", seeds=2, quick=True).result["last"].n
        2
    """
    from cnlw_tools.trainer import Trainer

    _check_train_arguments(choices)
    place = build.path if isinstance(build, Build) else build
    trainer = Trainer(place, config, method=method, net=net, preset=preset, **choices)
    with ProgressBars(progress) as bars:
        if seeds is not None:
            return _train_seeds(trainer, seeds, bars)
        trainer.fit(bars)
    return Run(trainer.folder)


def _check_train_arguments(choices: Mapping[str, Any]) -> None:
    """Raise if an argument is none of `Trainer`; values of the preset stand in ``changes``."""
    from cnlw_tools.recipe.preset import Preset
    from cnlw_tools.registry import suggest
    from cnlw_tools.trainer import Trainer

    arguments = [field.name for field in fields(Trainer) if field.init]
    preset_keys = [field.name for field in fields(Preset)]
    for name, value in choices.items():
        if name in arguments:
            continue
        if name in preset_keys:
            change = f'changes={{"{name}": {value!r}}}'
            raise TypeError(f"train() has no argument {name!r}, a key of the preset: give {change}")
        raise TypeError(
            f"train() has no argument {name!r}.{suggest(name, arguments)} "
            "Options of the method are given by options={...}"
        )


def _train_seeds(trainer: "Trainer", seeds: int | Sequence[int], bars: ProgressBars) -> SeedRuns:
    from cnlw_tools.trainer.seeds import fit_all, trainers_of_seeds

    trainers = trainers_of_seeds(trainer, range(seeds) if isinstance(seeds, int) else seeds)
    fit_all(trainers, lambda member: member.fit(bars))
    return SeedRuns(tuple(Run(member.folder) for member in trainers))


def fetch_images(
    dataset: str | None = None,
    *,
    manifest: PathLike | None = None,
    store: PathLike | None = None,
    shard: str | None = None,
    root: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
    **choices: Any,
) -> FetchedStore:
    """Fetch images from the web into a store, and record the outcome of every URL.

    A URL that has an outcome is not requested again, except with ``retry``.

    Args:
        dataset: name of the dataset whose web candidates are fetched
        manifest: Parquet file with the columns image_id and uri, instead of ``dataset``
        store: folder to write to, or address of a pack to write to. Default: stores/DATASET
        shard: fetch from only one group of sites: 2/5 is the second of five. See `join_stores`
        root: folder or address with your own manifests/. Default: none
        engine: where the work runs: local, dask://HOST:PORT or ray://HOST:PORT
        workers: number of worker processes. Default: one for each processor, or fewer for few URLs
        progress: show a progress bar
        **choices: other options of `cnlw fetch`: keep, requests, retry, contact, max_bytes ...

    Raises:
        ValueError, LookupError, OSError: an argument is invalid, or a file is missing or damaged
        Interrupted, a subclass of KeyboardInterrupt: a signal arrived; repeat the call to continue

    Example:
        >>> import pyarrow as pa, pyarrow.parquet as pq
        >>> urls = pa.table({"image_id": ["cat"], "uri": ["http://127.0.0.1/cat.jpg"]})
        >>> pq.write_table(urls, "urls.parquet")
        >>> fetched = cnlw.fetch_images(manifest="urls.parquet", store="images")
        >>> dict(fetched.counts)  # URLs of this machine are not requested
        {'refused': 1}
    """
    from cnlw_tools.fetch.choices import FetchChoices
    from cnlw_tools.ingest.web_images import fetch_into
    from cnlw_tools.ingest.web_places import find_manifest, find_store

    read_choices = read_dataclass(FetchChoices, _paths_as_text(choices), "fetch_images")
    place = find_store(dataset, store)
    path = find_manifest(dataset, _to_path(manifest), _root_or_default(root))
    with ProgressBars(progress) as bars:
        show = partial(_show_tally, bars)
        tally = fetch_into(place, path, read_choices, shard, engine, workers, show, _warn_of)
    return FetchedStore(place, tally.counts, tally.fetched, tally.skipped)


def join_stores(stores: Folders, store: PathLike, *, progress: bool = True) -> FetchedStore:
    """Copy the images and outcomes of several stores into one store.

    Use this function after `fetch_images` was called with ``shard`` on several machines. Then call
    `fetch_images` with the joined store: it requests the URLs that still have no outcome.

    Args:
        stores: folders of stores or packs, folders that contain several, or addresses of packs
        store: folder or address to write to
        progress: show a progress bar

    Raises:
        ValueError: the images of the stores were not all resized in the same way, or the fetches
            used different numbers of shards
        OSError: a store cannot be read or written, or a fetch is writing into it

    Example:
        >>> import pyarrow as pa, pyarrow.parquet as pq
        >>> urls = pa.table({"image_id": ["cat"], "uri": ["http://127.0.0.1/cat.jpg"]})
        >>> pq.write_table(urls, "urls.parquet")
        >>> for shard in ("1/2", "2/2"):
        ...     out = f"stores/{shard[0]}"
        ...     part = cnlw.fetch_images(manifest="urls.parquet", store=out, shard=shard)
        >>> dict(cnlw.join_stores("stores", "all_images").counts)
        {'refused': 1}
    """
    from cnlw_tools.ingest.web_images import join_into
    from cnlw_tools.ingest.web_places import find_store

    place = find_store(None, store)
    with ProgressBars(progress) as bars:
        show = partial(_show_tally, bars)
        counts, tally = join_into(place, _list_places(stores), show, _warn_of)
    return FetchedStore(place, counts, tally.fetched, tally.skipped)


def _show_tally(bars: ProgressBars, tally: "Tally") -> None:
    bars("URLs", tally.counts.total() + tally.skipped, tally.total)


def sweep(
    study: PathLike,
    *,
    scale: str = "",
    out: PathLike | None = None,
    shard: str | None = None,
    root: PathLike | None = None,
    data_dir: PathLike | None = None,
    donors: DonorDirs = (),
    store: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
    **choices: Any,
) -> StudyRuns:
    """Train all runs of a study. Finished runs are skipped, and interrupted ones are resumed.

    If a run fails, the other runs are still trained. Arguments that are not
    described here are the same as for `build`.

    Args:
        study: a TOML file, or the name of a study; see `cnlw list studies`
        scale: scale of the study, such as small or paper; a study that has scales needs one
        out: folder or address of the runs. Default: runs/STUDY, or runs/STUDY_SCALE
        shard: train only one part of the runs: 2/5 is the second of five parts. Default: all runs
        **choices: other options of `cnlw sweep`: builds, cache, device, jobs, keep_best

    Raises:
        ValueError, LookupError: a name or a value is wrong, or no run can be trained
        OSError: the study cannot be read, or the folder of the runs cannot be written
        Interrupted, a subclass of KeyboardInterrupt: a signal arrived; repeat the call to continue

    Example:
        >>> with open("mine.toml", "w") as file:
        ...     print('dataset = "shapes"', file=file)
        ...     print('configs = [{ noise = "red", levels = [40] }]', file=file)
        ...     print('methods = [{ name = "vanilla" }]', file=file)
        ...     print('changes = { epochs = 1, net = "mlp1" }', file=file)
        >>> sorted(cnlw.sweep("mine.toml").runs)
        ['red_40/vanilla_s0']
    """
    from cnlw_tools.study.run_study import SweepChoices, run_study

    inputs = _make_inputs(root, data_dir, donors, store)
    sweep_choices = read_dataclass(SweepChoices, _paths_as_text(choices), "sweep")
    with ProgressBars(progress) as bars:
        return _study_runs(
            *run_study(study, scale, out, shard, inputs, sweep_choices, engine, workers, bars)
        )


def _study_runs(paths: "SweepPaths", outcomes: "Sequence[Outcome]") -> StudyRuns:
    """Return what became of the runs of a study."""
    runs, failures = {}, {}
    for outcome in outcomes:
        if outcome.result:
            runs[outcome.run.name] = Run(paths.run_folder(outcome.run))
        elif outcome.state == "failed":
            failures[outcome.run.name] = outcome.reason
    return StudyRuns(paths.out, runs, failures)


def predict(
    run: Run | PathLike,
    images: PathLike,
    *,
    top: int = 1,
    best: bool = False,
    config: str | None = None,
    method: "type[Method] | None" = None,
    net: Callable[[int, Any], Any] | None = None,
    device: str = "auto",
    progress: bool = True,
) -> "pd.DataFrame":
    """Predict the classes of your own images with the network of a run.

    Your images are resized and normalised like the validation images of the run. The result has one
    row for each image, with the columns ``image``, ``prediction``, ``confidence`` and ``problem``.
    The column ``problem`` says why an image could not be read.

    Args:
        run: the run, its folder or its address
        images: a folder of image files, an image file, or a build
        top: number of most likely classes; 2 adds ``prediction_2`` and ``confidence_2``
        best: use the weights of the best epoch; the run needs ``keep_best=True`` for this
        config: name of a config, if ``images`` is a build. Default: the config of the run
        method: the class of your own method, if the run used one
        net: the function that makes your own network, if the run used one
        device: cpu, cuda or auto
        progress: show a progress bar

    Raises:
        ValueError, LookupError, OSError: the run has not ended, it needs ``method`` or ``net``,
            or there are no images

    Example:
        >>> run = cnlw.train("builds/shapes", "red_40", method="gce", quick=True)
        >>> photos = cnlw.Build("builds/shapes").export("imagefolder", "red_40", "photos")
        >>> list(cnlw.predict(run, photos).columns)
        ['image', 'prediction', 'confidence', 'problem']
    """
    from cnlw_tools.reports.own_images import predict_own_images
    from cnlw_tools.trainer.predict import Predictor
    from cnlw_tools.trainer.run_upload import copy_run

    folder = run.path if isinstance(run, Run) else copy_run(run)
    predictor = Predictor(folder, device, best, method, net)
    with ProgressBars(progress) as bars:
        table = predict_own_images(folder, local_path(images), predictor, config, top, None, bars)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def report(
    runs: PathLike,
    out: PathLike | None = None,
    *,
    root: PathLike | None = None,
    select_by: str = "",
    group_by: Sequence[str] = (),
    formats: Sequence[str] = ("svg",),
    width: str | float | None = None,
    font_size: float | None = None,
    engine: str = "local",
) -> RunsReport:
    """Write a web page, tables and figures about all runs in a folder and its subfolders.

    Args:
        runs: folder or address that holds the runs of `cnlw sweep` or `cnlw train`
        out: folder or address of the report. Default: RUNS/report
        root: folder or address whose pipelines/ has further published numbers. Default: none
        select_by: the accuracy that selects the best trial of a method: last, best or mean10 (the
            mean of the last ten epochs). Default: the choice of the study, or last
        group_by: names of options of methods; trials with different values of such an option are
            reported as different methods
        formats: formats of the files in figures/: svg, pdf or png
        width: width of each figure in figures/: a number of inches, or a string such as
            ``"8.3cm"``. Default: the width of the figure on the web page
        font_size: size of all text in figures/, in points. Default: the size on the web page
        engine: where runs are read: local, dask, ray, dask://HOST:PORT or ray://HOST:PORT

    Raises:
        OSError: the folder holds no run, or the report cannot be written

    Example:
        >>> run = cnlw.train("builds/shapes", "red_40", quick=True)
        >>> cnlw.report("runs").page.name
        'index.html'
    """
    from cnlw_tools.reports.figure_files import choose_figure_files
    from cnlw_tools.reports.remote import copy_runs, report_folder
    from cnlw_tools.reports.write import write_report

    figure_files = choose_figure_files(formats, width, font_size)
    run_folder = copy_runs(runs)
    place = out or below(runs, "report")
    workers = 1 if engine == LOCAL else None
    with open_executor(engine, workers) as executor, report_folder(place) as folder:
        root = _root_or_default(root)
        notes = write_report(run_folder, folder, root, select_by, group_by, figure_files, executor)
    return RunsReport(below(place, "index.html"), notes)


def import_source(
    source: str,
    path: PathLike,
    name: str | None = None,
    *,
    root: PathLike = ".",
    validation: int = 0,
    skip_broken: PathLike | None = None,
    list_broken: PathLike | None = None,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
    **choices: Any,
) -> PathLike:
    """Make a dataset from your images: write its class list and manifest, and return their folder.

    Args:
        source: name of a source, such as folder or hf; see `cnlw list datasets`
        path: folder or file of the images; pass the same path to `build` as ``data_dir``
        name: name of the new dataset. Default: the name of the source
        root: folder or address in which the folder manifests/NAME is written
        validation: percentage of each class that moves from train to validation
        skip_broken: CSV file (or its address) for a list of undecodable images, which are left out
        list_broken: the same as `skip_broken`, but an error is raised after the list is written
        engine, workers, progress: as for `build`
        **choices: only for a Hugging Face dataset: config, splits, image_column, label_column

    Raises:
        ValueError, LookupError, OSError: an argument is wrong, or an image cannot be decoded

    Example:
        >>> images = cnlw.Build("builds/shapes").export("imagefolder", "red_40", "pictures")
        >>> folder = cnlw.import_source("folder", images, "flowers", root="my")
        >>> sorted(path.name for path in folder.iterdir())
        ['base.parquet', 'classes.csv']
    """
    from cnlw_tools.ingest import import_dataset

    opened_root, opened_executor = open_root(root), open_executor(engine, workers)
    with opened_root as folder, opened_executor as executor, ProgressBars(progress) as bars:
        import_dataset.import_source(
            *(source, local_path(path), name or source, folder),
            options=read_dataclass(SourceOptions, choices, "import_source"),
            validation=validation,
            skip_broken=skip_broken,
            list_broken=list_broken,
            executor=executor,
            progress=bars,
        )
    return below(root, f"manifests/{name or source}")


def new(
    name: str,
    photographs: PathLike,
    candidates: PathLike,
    *,
    root: PathLike = ".",
    validation: int = 0,
    engine: str = "local",
    workers: int | None = None,
    progress: bool = True,
) -> PathLike:
    """Make a dataset from your images and candidates: write its tables, and return their folder.

    The tables are the class list, the base manifest and the manifest of the candidates. If the
    dataset already exists, candidates that it lacks are added to it.

    Args:
        name: name of the dataset
        photographs: folder with a subfolder for each class, or a CSV file of paths and labels
        candidates: a CSV file with the columns class and url; other columns are kept
        root: folder or address in which the folder manifests/NAME is written
        validation: percentage of each class that moves from train to validation
        engine, workers, progress: as for `build`

    Raises:
        ValueError: an image cannot be decoded, or a row of ``candidates`` is wrong
        OSError: a file or folder is missing, or the tables cannot be written

    Example:
        >>> images = cnlw.Build("builds/shapes").export("imagefolder", "red_40", "photographs")
        >>> with open("candidates.csv", "w") as file:
        ...     print("class,url", "0,https://example.org/1.jpg", sep="\\n", file=file)
        >>> folder = cnlw.new("flowers2", images, "candidates.csv", root="my")
        >>> sorted(path.name for path in folder.iterdir())
        ['base.parquet', 'classes.csv', 'web.parquet']
    """
    from cnlw_tools.ingest.candidates import create_dataset

    opened_root, opened_executor = open_root(root), open_executor(engine, workers)
    with opened_root as folder, opened_executor as executor, ProgressBars(progress) as bars:
        create_dataset(
            name,
            local_path(photographs),
            local_path(candidates),
            folder,
            validation=validation,
            executor=executor,
            progress=bars,
        )
    return below(root, f"manifests/{name}")


def _open_executor(
    engine: str, workers: int | None, source: "NamedSource | None"
) -> AbstractContextManager[Executor]:
    """Open an executor; a source that other processes of this machine cannot import has one."""
    if engine == "local" and workers is None and not _is_importable(source):
        workers = 1
    return open_executor(engine, workers)


def _warn_of(problem: str) -> None:
    warnings.warn(problem, stacklevel=2)


def _open_build(build: Build | PathLike) -> Build:
    return build if isinstance(build, Build) else Build(build)


def _resolve_recipe(
    dataset: "str | NamedSource | None",
    noise: "str | NoiseModel | None",
    level: int | None,
    levels: Sequence[int] | None,
    recipe: PathLike | None,
    inputs: Inputs,
    choices: dict[str, Any],
) -> "Recipe":
    """Return the recipe of a file or name, in which the arguments of a call replace keys."""
    from cnlw_tools.ingest.recipes import resolve_recipe
    from cnlw_tools.noise import NoiseModel, add_model

    if level is not None and levels is not None:
        raise ValueError(f"level {level} and levels {levels}: give one of the two")
    arguments = {
        "dataset": inputs.source.name if inputs.source else dataset,
        "noise": add_model(noise) if isinstance(noise, NoiseModel) else noise,
        "levels": [level] if level is not None else levels,
        "donors": list(inputs.donors) or None,
    }
    for key, value in arguments.items():
        if value is not None:
            choices[key] = value
    return resolve_recipe(str(recipe) if recipe is not None else None, choices, inputs)


def _make_inputs(
    root: PathLike | None,
    data_dir: PathLike | None,
    donors: DonorDirs,
    store: PathLike | None,
    dataset: "str | NamedSource | None" = None,
) -> Inputs:
    folders = donors if isinstance(donors, Mapping) else dict.fromkeys(donors)
    return Inputs(
        root=_root_or_default(root),
        data_dir=_copy_if_given(data_dir),
        donors={name: _copy_if_given(folder) for name, folder in folders.items()},
        store=store,
        source=None if isinstance(dataset, str) else dataset,
    )


def _is_importable(source: "NamedSource | None") -> bool:
    """Return whether a worker process could import the class of a source."""
    return type(source).__module__ != "__main__"


def _root_or_default(root: PathLike | None) -> Path:
    return require_root(root)


def _copy_if_given(place: PathLike | None) -> Path | None:
    """Return a folder of this machine; that of an address is copied into the cache first."""
    return local_copy(place) if place is not None else None


def _to_place(place: PathLike) -> PathLike:
    """Return a path as `Path`, and an address as text."""
    return str(place) if is_address(place) else Path(place)


def _to_path(path: PathLike | None) -> Path | None:
    return local_path(path) if path is not None else None


def _read_parquet(path: Path) -> "pd.DataFrame":
    from cnlw_tools.files.parquet import read_table, read_tables

    table = read_tables(path) if path.is_dir() else read_table(path)
    frame: pd.DataFrame = table.to_pandas()
    return frame
