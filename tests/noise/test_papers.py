"""The rates that papers print and users got wrong, in plans of 50,000 images; real labels where they lie at hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools import files
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.tables import MANIFEST, VOTES
from cnlw_tools.plans.plan import expected_stats, plan
from cnlw_tools.plans.statistics import realised_stats
from cnlw_tools.recipe.recipe import parse_recipe

DATA = files.default_root().parent / "shared" / "data"
HUMAN = DATA / "cifar_n" / "CIFAR-10_human.npz"
ROG = DATA / "rog_noise" / "cifar10"


def made(label):
    """A dataset of ten classes whose training images bear these labels, in id order."""
    n = len(label)
    values = [[f"train-{i:05d}" for i in range(n)], np.asarray(label, np.int32), ["train"] * n]
    base = pa.table([*values, pa.nulls(n, pa.string()), pa.nulls(n, pa.string())], schema=MANIFEST)
    return Dataset(
        "cifar10", tuple("abcdefghij"), base, MANIFEST.empty_table(), VOTES.empty_table()
    )


def rate(dataset, noise, level, **options):
    """The realised rate, when it is the promised one."""
    recipe = parse_recipe({"dataset": "cifar10", "noise": noise, "options": options}, "the test")
    dataset_plan, expected = (
        realised_stats(plan(recipe, dataset, level), 10),
        expected_stats(recipe, dataset, level)["train"],
    )
    assert dataset_plan.rate == pytest.approx(
        expected.rate, rel=1e-12, abs=0 if expected.exact else 0.01
    )
    assert np.allclose(
        dataset_plan.matrix, expected.matrix, atol=1e-12 if noise in ("human", "semantic") else 0.03
    )
    return dataset_plan.rate


@pytest.fixture(scope="module")
def cifar10():
    return made(np.arange(50_000) % 10)


@pytest.mark.parametrize(("level", "included"), [(20, 0.18), (50, 0.45), (80, 0.72)])
def test_symmetric(cifar10, level, included):
    """Asked 20, 50 and 80 % realise exactly that with self excluded, and 18, 45 and 72 % with self included."""
    assert rate(cifar10, "symmetric", level) == level / 100
    assert rate(cifar10, "symmetric", level, include_self=True) == pytest.approx(included, abs=0.01)


def test_asymmetric(cifar10):
    """Asked 40 % is 40 % of five classes and 20 % of all: cats that became dogs are not flipped back."""
    assert rate(cifar10, "asymmetric", 40) == 0.2


@pytest.mark.skipif(not HUMAN.is_file(), reason="CIFAR-10N is not at hand")
@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("random_label1", 0.1723),
        ("random_label2", 0.1812),
        ("random_label3", 0.1764),
        ("aggre_label", 0.0901),
        ("worse_label", 0.4021),
    ],
)
def test_human(column, wrong):
    """The rates of CIFAR-10N (Wei et al., 2022)."""
    dataset = made(np.load(HUMAN)["clean_label"]).with_side_table(HUMAN)

    assert rate(dataset, "human", None, labels=column) == pytest.approx(wrong, abs=5e-5)


@pytest.mark.skipif(
    not (HUMAN.is_file() and ROG.is_dir()), reason="the labels of RoG are not at hand"
)
@pytest.mark.parametrize(("net", "wrong"), [("densenet", 0.319), ("resnet", 0.381), ("vgg", 0.301)])
def test_semantic(net, wrong):
    """The rates of three networks that saw a twentieth of CIFAR-10 (Lee et al., 2019)."""
    dataset = made(np.load(HUMAN)["clean_label"]).with_side_table(
        Path(ROG / f"semantic_{net}.json")
    )

    assert rate(dataset, "semantic", None, labels=f"semantic_{net}") == pytest.approx(
        wrong, abs=1e-3
    )
