"""Controlled noisy-label image benchmarks: plan them, build them, prove them, learn from them.

    import cnlw_tools as cnlw

    build = cnlw.build("shapes", noise="red", levels=[0, 40])
    build.validate()
    train = build.load("red_40", split="train")
    run = cnlw.train(build, "red_40", method="mentormix", quick=True)

The names below are imported when they are used, so this import is light.
"""

from typing import TYPE_CHECKING, Any

from cnlw_tools.registry import ImportOnUse

if TYPE_CHECKING:
    from cnlw_tools.api import (
        Build,
        FetchedStore,
        Plan,
        Run,
        RunsReport,
        SeedRuns,
        StudyRuns,
        ValidationReport,
        build,
        build_shard,
        fetch_images,
        import_source,
        join_stores,
        load_dataset,
        new,
        plan,
        predict,
        rebuild,
        report,
        sweep,
        train,
        validate,
        validate_shard,
    )
    from cnlw_tools.methods import Method
    from cnlw_tools.noise import NoiseModel
    from cnlw_tools.recipe.inputs import Inputs
    from cnlw_tools.recipe.recipe import Recipe
    from cnlw_tools.store.pack import open_store
    from cnlw_tools.store.store import Store
    from cnlw_tools.trainer import Trainer

__version__ = "0.2.0"

__all__ = [
    "Build",
    "FetchedStore",
    "Inputs",
    "Method",
    "NoiseModel",
    "Plan",
    "Recipe",
    "Run",
    "RunsReport",
    "SeedRuns",
    "Store",
    "StudyRuns",
    "Trainer",
    "ValidationReport",
    "build",
    "build_shard",
    "fetch_images",
    "import_source",
    "join_stores",
    "load_dataset",
    "new",
    "open_store",
    "plan",
    "predict",
    "rebuild",
    "report",
    "sweep",
    "train",
    "validate",
    "validate_shard",
]

__getattr__ = ImportOnUse[Any](
    __name__,
    {
        "Build": "api:Build",
        "FetchedStore": "api:FetchedStore",
        "Inputs": "recipe.inputs:Inputs",
        "Method": "methods:Method",
        "NoiseModel": "noise:NoiseModel",
        "Plan": "api:Plan",
        "Recipe": "recipe.recipe:Recipe",
        "Run": "api:Run",
        "RunsReport": "api:RunsReport",
        "SeedRuns": "api:SeedRuns",
        "Store": "store.store:Store",
        "StudyRuns": "api:StudyRuns",
        "Trainer": "trainer:Trainer",
        "ValidationReport": "api:ValidationReport",
        "build": "api:build",
        "build_shard": "api:build_shard",
        "fetch_images": "api:fetch_images",
        "import_source": "api:import_source",
        "join_stores": "api:join_stores",
        "load_dataset": "api:load_dataset",
        "new": "api:new",
        "open_store": "store.pack:open_store",
        "plan": "api:plan",
        "predict": "api:predict",
        "rebuild": "api:rebuild",
        "report": "api:report",
        "sweep": "api:sweep",
        "train": "api:train",
        "validate": "api:validate",
        "validate_shard": "api:validate_shard",
    },
).attribute
