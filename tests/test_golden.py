"""Plans and shards are what they have always been: their digests are compared with golden.json.

A plan or a shard that changes breaks builds that others have made and published. If you mean to change
one, write golden.json anew and say in the change log what changed and why:

    python -m tests.test_golden

The bytes of a shard depend on the versions of the libraries that write it. Under other versions than
those in golden.json, the shards are not compared.
"""

import json
import platform
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import PIL.features
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import simplejpeg

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from tests.conftest import make_cifar, make_toy, tiny_root
from tests.sources.released import mini_imagenet

GOLDEN = Path(__file__).with_name("golden.json")
FULL = np.eye(10) * 0.6 + np.roll(np.eye(10), 3, 1) * 0.25 + np.full((10, 10), 0.015)
OTHERS, WHITE = {"donors": ["shapes_others"]}, {"donors": ["white", "white_uniform"]}
TINY, TOY = {"root": "tiny"}, {"root": "toy", "dataset": "toy"}
CIFAR = {"dataset": "cifar10", "images": "cifar"}
RELEASED = {"dataset": "mini_imagenet", "images": "released"}
PUBLISHED = RELEASED | {"published_splits": True}
SIDE = {"side_table": "side.parquet"}
DECISIVE = (
    "root",
    "dataset",
    "images",
    "published_splits",
    "side_table",
)  # keys that decide what the tables hold
DECISIVE_WITH_DONORS = ("donors", "noise", "options")


def case(noise: str, *levels: int, **keys: Any) -> dict[str, Any]:
    """Return the keys of a recipe, of `shapes` unless they say otherwise, and where its tables and images lie."""
    return {
        "dataset": "shapes",
        "noise": noise,
        **({"levels": [*levels]} if levels else {}),
        **keys,
    }


PLANS: dict[str, dict[str, Any]] = {
    "blue": case("blue", 0, 5, 40, 80),
    "blue seed": case("blue", 40, seed=7),
    "blue independent": case("blue", 20, 40, nested=False),
    "blue parted": case("blue", 40, probe=10, verified=20),
    "blue thinned": case("blue", 40, train_size=1234, imbalance_ratio=10, seed=3),
    "blue per class": case("blue", 30, per_class=57),
    "red": case("red", 0, 5, 40),
    "red top": case("red", 20, options={"top": 40}, seed=1),
    "red independent": case("red", 30, nested=False),
    "red parted": case("red", 20, probe=10, verified=20, options={"top": 40}),
    "red long tail": case("red", 40, imbalance_ratio=5.5),
    "red searched": case("red", 10, search=["text"], options={"top": 10}),
    "red voted": case("red", 10, min_votes=2, options={"top": 10}),
    "red modelled": case("red", 10, verdict="dawid_skene", options={"top": 10}),
    "symmetric": case("symmetric", 40, 95),
    "symmetric self": case("symmetric", 40, options={"include_self": True}),
    "symmetric chance": case("symmetric", 40, options={"exact": False}),
    "symmetric l2r": case("symmetric", 40, options={"variant": "l2r"}),
    "symmetric permuted": case("symmetric", 40, options={"variant": "permuted"}),
    "asymmetric": case("asymmetric", 40),
    "asymmetric mnist": case("asymmetric", 20, options={"map": "mnist"}),
    "asymmetric blocks": case("asymmetric", 20, options={"map": "blocks"}),
    "pairflip": case("pairflip", 45),
    "human": case("human", **SIDE),
    "semantic": case("semantic", options={"labels": "guess"}, **SIDE),
    "matrix": case("matrix", options={"q": FULL.tolist()}),
    "matrix turned": case(
        "matrix", options={"q": FULL.T.tolist(), "transpose": True, "exact": False}
    ),
    "instance": case("instance", 20, 40, **SIDE),
    "instance fixed": case("instance", 20, 40, options={"fixed_weights": True}, **SIDE),
    "instance chance": case("instance", 40, options={"exact": False}, **SIDE),
    "mix": case("mix", 20, 40),
    "mix of flips": case(
        "mix", 40, options={"first": "pairflip", "second": "symmetric", "proportion_first": 0.3}
    ),
    "dilution": case("dilution", options={"alpha": 2.5}),
    "structured": case("structured", options={"alpha": 5.0, "delta": 0.4}, **SIDE),
    "structured geometric": case(
        "structured",
        options={"alpha": 5.0, "delta": 0.4, "order": "random", "profile": "geometric"},
    ),
    "structured top": case(
        "structured",
        options={"alpha": 5.0, "delta": 0.4, "order": "reverse", "profile": "top"},
        **SIDE,
    ),
    "source": case("source", options={"alpha": 1.5, "shares": "2:1"}, **WHITE),
    "source own": case("source", options={"alpha": 1.5, "copy_own": True}),
    "openset": case("openset", 10, probe=5, **OTHERS),
    "openset flips": case("openset", 10, options={"flips": 20}, **OTHERS),
    "outlier": case("outlier", options={"ratio": 0.1}, **OTHERS),
    "outlier known": case(
        "outlier", options={"ratio": 0.1, "known_share": 0.4}, verified=5, **OTHERS
    ),
    "red_standin": case("red_standin", 0, 10, options={"top": 10}, **TINY, **WHITE),
    "toy blue": case("blue", 5, 37, 80, **TOY),
    "toy red": case("red", 40, seed=11, probe=2, verified=3, **TOY),
    "toy dilution": case("dilution", options={"alpha": 0.7}, train_size=50, **TOY),
    "cifar blue": case("blue", 20, **CIFAR),
    "published red": case("red", 20, **PUBLISHED),
    "published blue": case("blue", 40, **PUBLISHED),
}
BUILDS: dict[str, dict[str, Any]] = {
    "blue": case("blue", 0, 40, probe=2, verified=2, size=16, shard_rows=50, **TINY),
    "blue flat": case("blue", 0, 40, layout="flat", size=16, shard_rows=64, **TINY),
    "red": case("red", 20, 40, options={"top": 40}, **TINY),
    "red crop": case("red", 40, options={"top": 40}, size=24, resize="crop", layout="flat", **TINY),
    "red_standin": case(
        "red_standin", 10, options={"top": 10}, size=12, resize="pad", **TINY, **WHITE
    ),
    "openset": case("openset", 20, size=20, resize="short", **TINY, **OTHERS),
    "dilution": case("dilution", options={"alpha": 0.5}, size=16, **TINY),
    "cifar": case("blue", 0, 40, **CIFAR),
    "published": case("red", 20, size=42, resize="crop", quality=80, **PUBLISHED),
    "released": case("blue", 20, size=30, **RELEASED),
}


class Workspace:
    """The folders that the cases name, and the datasets that were read, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots = {"tiny": tiny_root(folder / "tiny"), "toy": make_toy(folder / "toy")}
        self.images = {
            "cifar": make_cifar(folder / "cifar"),
            "released": mini_imagenet(folder / "released"),
        }
        write_side_table(folder / "side.parquet")
        self.datasets: dict[str, Dataset] = {}  # by the keys that decide them


def write_side_table(path: Path) -> None:
    """Write labels and features of the training images of `shapes`, by integer arithmetic alone."""
    base = pq.read_table(files.default_root() / "manifests/shapes/base.parquet")
    train = base.filter(pc.equal(base["split"], "train"))
    row = np.arange(len(train))
    labels = np.where(row % 3 == 0, row // 3 % 10, train["label"].to_numpy())
    features = (row[:, None] * 7919 + np.arange(8) * 104729) % 1009 / 1009 - 0.5
    table = {
        "image_id": train["image_id"],
        "labels": pa.array(labels, pa.int32()),
        "guess": pa.array(np.roll(labels, 1), pa.int32()),
        "features": pa.array([*features.astype(np.float32)]),
    }
    pq.write_table(pa.table(table), path)


def read_case(keys: dict[str, Any], work: Workspace) -> tuple[recipe.Recipe, Path, Path | None]:
    """Return a recipe, the root of its dataset, and where its images lie."""
    keys = {**keys}
    root = work.roots.get(keys.pop("root", ""), files.default_root())
    images = work.images.get(keys.pop("images", ""))
    if "side_table" in keys:
        keys["side_table"] = str(work.folder / keys["side_table"])
    return recipe.parse_recipe(keys, "golden"), root, images


def plan_digests(keys: dict[str, Any], work: Workspace) -> list[str]:
    """Return the digest of a plan of each level."""
    case_recipe, root, images = read_case(keys, work)
    decisive = DECISIVE + DECISIVE_WITH_DONORS * ("donors" in keys)
    name = json.dumps([keys.get(key) for key in decisive])
    if name not in work.datasets:
        work.datasets[name] = load_dataset(case_recipe, Inputs(root, images))
    levels = case_recipe.levels if "levels" in keys else (None,)
    return [hashing.digest(plan(case_recipe, work.datasets[name], level)) for level in levels]


def shard_digests(keys: dict[str, Any], work: Workspace) -> dict[str, str]:
    """Build, and return the sha256 of every shard by its name."""
    case_recipe, root, images = read_case(keys, work)
    with TemporaryDirectory(dir=work.folder) as out:
        data = build(case_recipe, Inputs(root, images), Path(out) / "build").folder / "data"
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(data.iterdir())}


def writers() -> dict[str, str | None]:
    """Return the versions of what the bytes of a shard depend on."""
    codecs = {
        name: PIL.features.version(name) for name in ("jpg", "libjpeg_turbo", "zlib", "zlib_ng")
    }
    return {
        "pillow": PIL.__version__,
        "simplejpeg": simplejpeg.__version__,
        "pyarrow": pa.__version__,
        "machine": platform.machine(),
        **codecs,
    }


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Workspace:
    """Folders for all tests here."""
    return Workspace(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """What golden.json holds."""
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", PLANS)
def test_plans(name, golden, work):
    """A plan has the rows that it has always had, in the same order."""
    assert plan_digests(PLANS[name], work) == golden["plans"][name]


@pytest.mark.parametrize("name", BUILDS)
def test_shards(name, golden, work):
    """A build has the same files as always, to the byte."""
    if writers() != golden["writers"]:
        pytest.skip(f"golden.json was written with {golden['writers']}, and here are {writers()}")

    assert shard_digests(BUILDS[name], work) == golden["builds"][name]


def test_cases(golden):
    """Every digest of golden.json is compared."""
    assert [*golden["plans"]] == [*PLANS]
    assert [*golden["builds"]] == [*BUILDS]


def main() -> None:
    """Write golden.json anew."""
    with TemporaryDirectory() as folder:
        work = Workspace(Path(folder))
        plans = {name: plan_digests(keys, work) for name, keys in PLANS.items()}
        builds = {name: shard_digests(keys, work) for name, keys in BUILDS.items()}
    digests = {"writers": writers(), "plans": plans, "builds": builds}
    GOLDEN.write_text(json.dumps(digests, indent=1) + "\n")


if __name__ == "__main__":
    main()
