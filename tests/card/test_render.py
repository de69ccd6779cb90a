"""What the card of a build says to people."""

from dataclasses import replace

import pytest

from cnlw_tools.card.about import About
from cnlw_tools.card.metadata import BuildCard, Changes, ConfigCard, ConfigChanges
from cnlw_tools.card.render import card_text
from cnlw_tools.card.table_files import BuildTables, Candidates
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.recipe import Recipe

NO_TABLES = BuildTables((), Candidates(0, None, 0, 0, 0, (0, 0)), 0)
CONFIG = ConfigCard(
    recipe=Recipe("toy", "blue"),
    level=40,
    digest="0" * 64,
    rows={"train": 100},
    rate=0.4,
    expected=0.4,
    kept=(0.6, 0.6),
    expected_kept=(0.6, 0.6),
    segments={},
)


def text(layout):
    """Return the card of a build of a layout."""
    card = BuildCard({}, "toy", Storage(), layout, configs={"blue_40": CONFIG})
    return " ".join(card_text(card, ("cat", "dog"), [], NO_TABLES).split())


def test_the_card_says_how_to_stream():
    """It names the layout and the buffer; a shared layout is not for streams."""
    assert "build it with `cnlw build --layout flat`" in text("shared")
    assert "noisy and clean rows are in different files: the share of" in text("shared")
    assert "noisy and clean rows are mixed in every file" in text("flat")
    for layout in ("shared", "flat"):
        assert "`shuffle(seed=0, buffer_size=1000)`" in text(layout)


def test_the_first_table_has_sizes_and_digests_are_folded():
    """A config is a short row with its wrong labels, in numbers; nothing before the fold is a digest."""
    noisier = replace(CONFIG, level=80, rate=0.8, rows={"train": 12_345, "validation": 7})
    card = BuildCard(
        {}, "toy", Storage(), "flat", {"base": "f" * 64}, {"blue_40": CONFIG, "blue_80": noisier}
    )
    card_lines = card_text(card, ("cat", "dog"), [], NO_TABLES).splitlines()
    folded = []
    shown = []
    part = shown
    for line in card_lines:
        part = folded if line.startswith("<details>") else part
        part.append(line)
        part = shown if line == "</details>" else part
    space = "\N{NO-BREAK SPACE}"

    assert f"| `blue_40` | 40.0{space}% | 40 | 100 |  |" in shown
    assert f"| `blue_80` | 80.0{space}% | 9,876 | 12,345 | validation 7 |" in shown
    assert not any("0" * 16 in line or "f" * 16 in line for line in shown)
    assert sum("0" * 16 in line for line in folded) == 2
    assert f"- `base` {'f' * 64}" in folded


def test_the_card_names_the_papers_of_its_noise():
    """Each kind of noise is there with what it does and who described it."""
    words = text("flat")

    assert "- `blue`: Flip ``level`` percent of the labels of every class" in words
    assert "uniformly (Jiang et al. 2020)." in words


def test_an_unknown_layout_is_an_error():
    """The error names the layouts that there are."""
    with pytest.raises(
        LookupError, match=r"unknown layout 'bands'.* The choices are: shared, flat"
    ):
        text("bands")


def test_the_example_loads_a_config_with_noise():
    """Where there is one; numbers stand beside their unit on one line."""
    clean = replace(CONFIG, level=0, rate=0.0)
    card = BuildCard({}, "toy", Storage(), "flat", configs={"blue_00": clean, "blue_40": CONFIG})
    both = card_text(card, ("cat", "dog"), [], NO_TABLES)
    alone = card_text(replace(card, configs={"blue_00": clean}), ("cat", "dog"), [], NO_TABLES)

    assert 'load_dataset("path/to/this/folder", "blue_40")' in both
    assert 'load_dataset("path/to/this/folder", "blue_00")' in alone
    assert "40.000\N{NO-BREAK SPACE}%" in both


def test_the_card_says_who_split_validation_off():
    """A recipe or the import: the share and that its labels are clean stand there either way."""
    said = "`validation` has 10 % of the images of each class, at least one. They left `train`"
    recipe = replace(CONFIG.recipe, validation=10)
    by_recipe = BuildCard(
        {}, "toy", Storage(), "flat", configs={"blue_40": replace(CONFIG, recipe=recipe)}
    )
    by_import = replace(by_recipe, configs={"blue_40": CONFIG})

    def words(card, **choices):
        return " ".join(card_text(card, ("cat", "dog"), [], NO_TABLES, **choices).split())

    assert f"With `validation = 10` in the recipe, the split {said}" in words(by_recipe)
    assert f"After the import, the split {said}" in words(by_import, imported_validation=10)
    assert "`validation` has" not in words(by_import)


def test_versions_and_changes() -> None:
    """The card names its version, what was left out, and what changed since an earlier build."""
    configs = {"blue_00": ConfigChanges(1_200, 0, 0, 0), "blue_40": ConfigChanges(1_201, 3, 1, 2)}
    about = About(version="1.1.0", published="2026-12-31")
    card = BuildCard({}, "toy", Storage(), "shared", configs={"blue_40": CONFIG}, about=about)
    tables = replace(NO_TABLES, n_withdrawn=1)
    changed = replace(card, changes=Changes("1.0.0", configs))

    lines = card_text(changed, ("cat", "dog"), [], tables).splitlines()

    assert "This is version 1.1.0, published on 2026-12-31." in lines
    assert "1 image was left out on request; `tables/withdrawn.parquet` has the ids." in lines
    assert "Changes since version 1.0.0:" in lines
    assert "- `blue_00`: the same in all 1,200 slots." in lines
    assert "- `blue_40`: 3 of 1,201 slots differ, 1 is gone and 2 are new." in lines
    nothing = card_text(replace(card, changes=Changes("", {})), ("cat", "dog"), [], NO_TABLES)
    assert "Changes since an earlier build:\n\nThe two have no config in common." in nothing
