"""What people must know of a dataset."""

from dataclasses import fields

import pytest

from cnlw_tools.card.about import About, read_about, to_block
from cnlw_tools.files import default_root
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.recipe.strict import read_dataclass

RECIPE = Recipe("flowers", "blue", licence="mit", citation="@misc{x}")


def write(root, text):
    """Write the file of a dataset."""
    folder = root / "manifests/flowers"
    folder.mkdir(parents=True)
    (folder / "about.toml").write_text(text)


def test_nothing_is_known(tmp_path):
    """Without the file, only licence and citation of the recipe are known."""
    assert read_about(RECIPE, tmp_path) == About(licence="mit", citation="@misc{x}")


def test_the_file_says_more(tmp_path):
    """What it says comes back, and only what is known stands in the card."""
    write(tmp_path, 'title = "Flowers"\nsource_datasets = ["a/b"]\nversion = "1.0.0"\n')
    about = read_about(RECIPE, tmp_path)
    block = to_block(about)

    assert block == {
        "licence": "mit",
        "citation": "@misc{x}",
        "title": "Flowers",
        "source_datasets": ["a/b"],
        "version": "1.0.0",
    }
    assert read_dataclass(About, block, "x") == about


def test_a_recipe_comes_first(tmp_path):
    """Licence and citation of the file count where the recipe gives none."""
    write(tmp_path, 'licence = "cc0-1.0"\ncitation = "@misc{y}"\n')
    silent = Recipe("flowers", "blue")

    assert read_about(RECIPE, tmp_path) == About(licence="mit", citation="@misc{x}")
    assert read_about(silent, tmp_path) == About(licence="cc0-1.0", citation="@misc{y}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("titel = 'x'", r"unknown key 'titel'. Did you mean 'title'"),
        ("version = '1'", "version = '1': it must be a version such as 1.0.0"),
        ("published = '1.2.2026'", "it must be a day such as 2026-12-31"),
        ("annotations_creators = ['me']", "it must be a list of words among crowdsourced"),
    ],
)
def test_a_wrong_value(tmp_path, line, message):
    """The error names file, key and value."""
    write(tmp_path, line)

    with pytest.raises(ValueError, match=f"about.toml: .*{message}"):
        read_about(RECIPE, tmp_path)


def test_the_page_has_every_key():
    """manifests/README.md has a row for each key, in the words of the declaration."""
    rows = []
    for field in fields(About):
        rows.append(f"| `{field.name}` | {field.metadata['help']} |\n")

    assert "".join(rows) in (default_root() / "manifests/README.md").read_text("utf-8")


def test_files_of_the_package():
    """Each file that comes with the package can be read."""
    paths = sorted((default_root() / "manifests").glob("*/about.toml"))

    assert paths
    for path in paths:
        read_about(Recipe(path.parent.name, "blue"), default_root())
