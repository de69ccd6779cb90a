"""What is looked up below a root: the user's comes first, the package's stands behind it."""

import json
from pathlib import Path

import pytest

import cnlw_tools as cnlw
from cnlw_tools.cli.list import KINDS
from cnlw_tools.dataset.dataset import check_writable, list_datasets, read_dataset
from cnlw_tools.files import default_root
from cnlw_tools.files.roots import (
    find_below,
    find_toml_files,
    require_root,
    root_chain,
    suggest_root,
)
from cnlw_tools.ingest.recipes import resolve_recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.preset import preset_names, read_preset
from cnlw_tools.reports.published import read_paper_tables
from cnlw_tools.study.spec import find_study, study_names

PRESET = 'net = "mlp1"\nepochs = 7\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def own(tmp_path) -> Path:
    """A root with a preset and a study of its own, and a preset that the package has as well."""
    root = tmp_path / "my"
    write(root / "pipelines/train/mine.toml", PRESET)
    write(root / "pipelines/train/shapes.toml", PRESET)
    write(root / "pipelines/studies/mine.toml", "# a study")
    write(root / "pipelines/mine_blue.toml", 'dataset = "shapes"\nnoise = "blue"\nseed = 9\n')
    write(root / "manifests/two/classes.csv", "label,name\n0,cat\n1,dog\n")
    return root


def test_chain(tmp_path):
    """The package's root comes last, and once."""
    assert root_chain(tmp_path) == [tmp_path, default_root()]
    assert root_chain(default_root()) == [default_root()]
    assert root_chain(default_root() / "manifests" / "..") == [default_root() / "manifests" / ".."]


def test_a_root_that_holds_nothing_is_refused(own, tmp_path, monkeypatch):
    """A wrong path would else mean the package's root, without a word, in the API as well."""
    assert require_root(None) == default_root()
    assert require_root(own) == own
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: require_root(Path("nowhere")),
        lambda: cnlw.plan("shapes", noise="blue", level=40, root="nowhere"),
        lambda: cnlw.report(tmp_path, root="nowhere"),
    ):
        with pytest.raises(
            FileNotFoundError, match=r"nowhere: there is no such folder: give a --root"
        ):
            call()


def test_a_root_nearby_is_named(tmp_path, monkeypatch):
    """The current folder may be one level too high, and a name may be misspelled."""
    (tmp_path / "my/manifests").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FileNotFoundError, match=r"^\.: this folder has none .* such as my$"):
        require_root(".")
    with pytest.raises(FileNotFoundError, match=r"^mine: there is no such folder.* such as my$"):
        require_root("mine")
    assert require_root("my") == Path("my")


def test_the_first_root_counts(own):
    """A file of one's own hides the package's of the same name, and no other."""
    shapes = Path("pipelines/train/shapes.toml")
    mnist = Path("pipelines/train/mnist.toml")

    assert find_below(own, shapes) == own / shapes
    assert find_below(own, mnist) == default_root() / mnist
    assert find_below(own, Path("pipelines/train/nobody.toml")) is None
    assert find_toml_files(own, shapes.parent)["shapes"] == own / shapes
    assert find_toml_files(own, shapes.parent)["mnist"] == default_root() / mnist


def test_presets_and_studies_and_recipes(own):
    """Each is found by its name, whichever root has it."""
    assert read_preset("mine", own).epochs == read_preset("shapes", own).epochs == 7
    assert read_preset("mnist", own) == read_preset("mnist", default_root())
    assert set(preset_names(own)) == {*preset_names(default_root()), "mine"}
    assert find_study("mine", own) == own / "pipelines/studies/mine.toml"
    assert find_study("jiang_levels", own) == find_study("jiang_levels", default_root())
    assert set(study_names(own)) == {*study_names(default_root()), "mine"}
    assert resolve_recipe("mine_blue", {}, Inputs(own)).seed == 9
    assert resolve_recipe("shapes_red", {}, Inputs(own)).noise == "red"


@pytest.mark.parametrize("kind", ["datasets", "recipes", "presets", "studies"])
def test_lists(own, kind):
    """`cnlw list` lists one's own beside the package's."""
    package_names = {name for name, _ in KINDS[kind](default_root())}
    new = {"datasets": "two", "recipes": "mine_blue", "presets": "mine", "studies": "mine"}

    assert {name for name, _ in KINDS[kind](own)} == {*package_names, new[kind]}


def test_published_tables(own):
    """One's own published.json adds tables and replaces those of the same name."""
    package_tables = read_paper_tables(default_root())
    name = next(iter(package_tables))
    own_tables = {"mine": {"rows": []}, name: {"rows": []}}

    assert read_paper_tables(own) == package_tables
    write(own / "pipelines/studies/published.json", json.dumps(own_tables))
    assert read_paper_tables(own) == {**package_tables, **own_tables}


def test_all_tables_of_a_dataset_come_from_one_root(own):
    """Once a root has a folder of a dataset, the package's tables of it do not count."""
    assert read_dataset("shapes", own).digests == read_dataset("shapes", default_root()).digests
    assert set(list_datasets(own)) == {*list_datasets(default_root()), "two"}
    (own / "annotations" / "shapes").mkdir(parents=True)
    assert "shapes" not in list_datasets(own)
    with pytest.raises(LookupError, match="unknown dataset 'shapes'"):
        read_dataset("shapes", own)


def test_nothing_is_added_to_tables_of_the_package(own):
    """Votes on a dataset that only the package has are refused, with what to do."""
    check_writable("two", own)
    with pytest.raises(
        LookupError, match=r"'shapes' comes with the package .* copy its folders .* into"
    ):
        check_writable("shapes", own)


def test_a_forgotten_root_is_named(own, monkeypatch):
    """An error about an unknown name says which folder nearby has it."""
    monkeypatch.chdir(own.parent)
    hint = "Give --root my: it has "
    package_root = default_root()
    with pytest.raises(LookupError, match=f"{hint}manifests/two"):
        read_dataset("two", package_root)
    with pytest.raises(LookupError, match=f"{hint}manifests/two"):
        resolve_recipe(None, {"dataset": "two", "noise": "blue"}, Inputs(package_root))
    with pytest.raises(FileNotFoundError, match=f"{hint}pipelines/train/mine.toml"):
        read_preset("mine", package_root)
    with pytest.raises(LookupError, match=f"{hint}pipelines/studies/mine.toml"):
        find_study("mine", package_root)
    with pytest.raises(FileNotFoundError, match=f"{hint}pipelines/mine_blue.toml"):
        resolve_recipe("mine_blue", {}, Inputs(package_root))
    assert suggest_root(own, Path("manifests/two")) == ""
    monkeypatch.chdir(own)
    assert "Give --root .: it has" in suggest_root(package_root, Path("manifests/two"))
