"""What a build says about itself, written and read again."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.card.about import ANNOTATORS, About
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import (
    CARD,
    BuildCard,
    ConfigCard,
    front_matter,
    is_build,
    read_block,
    read_card,
)
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.recipe import Recipe

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
) | st.sampled_from(
    [
        "null",
        "no",
        "1e5",
        "0123456789012345",
        "12345678901234e5",
        "---",
        "a: b",
        "x---",
        "# x",
        "0x1f",
        "1_000",
        "~",
    ]
)
DATASETS = st.from_regex("[a-z0-9]{1,5}", fullmatch=True)
SHARES = st.floats(0, 1)
SHARDS = st.from_regex(r"[0-9a-f]{16}-\d{5}-of-\d{5}\.parquet", fullmatch=True)
OPTIONS = st.none() | st.booleans() | st.integers() | NAMES | st.lists(st.lists(SHARES))
CONFIG = st.builds(
    ConfigCard,
    recipe=st.builds(
        Recipe,
        dataset=DATASETS,
        noise=NAMES,
        imbalance_ratio=st.integers(1, 9) | st.floats(1, 9),
        donors=st.lists(DATASETS, max_size=2, unique=True).map(tuple),
        options=st.dictionaries(NAMES, OPTIONS, max_size=3),
    ),
    level=st.none() | st.integers(0, 95),
    digest=NAMES,
    rows=st.dictionaries(NAMES, st.integers(0, 10**9), max_size=3),
    rate=SHARES,
    expected=SHARES,
    kept=st.tuples(SHARES, SHARES),
    expected_kept=st.tuples(SHARES, SHARES),
    segments=st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=3),
    changed=st.none() | SHARES,
)
BUILD = st.builds(
    BuildCard,
    made_with=st.dictionaries(NAMES, NAMES, max_size=2),
    dataset=DATASETS,
    images=st.builds(Storage, st.none() | st.integers(1, 8192), st.sampled_from(["crop", "pad"])),
    layout=st.sampled_from(["shared", "flat"]),
    tables=st.dictionaries(NAMES, NAMES, max_size=3),
    configs=st.dictionaries(NAMES, CONFIG, max_size=2),
    about=st.builds(
        About,
        licence=NAMES,
        annotations_creators=st.lists(st.sampled_from(ANNOTATORS), max_size=2).map(tuple),
        version=st.sampled_from(["", "1.20.3"]),
        gate=NAMES,
    ),
    shards=st.dictionaries(SHARDS, st.from_regex("[0-9a-f]{64}", fullmatch=True), max_size=3),
)
RED = ConfigCard(
    recipe=Recipe("toy", "red", donors=("other",), options={"top": 80}),
    level=40,
    digest="d",
    rows={"train": 3},
    rate=0.4,
    expected=0.4,
    kept=(0.5, 0.7),
    expected_kept=(0.6, 0.6),
    segments={"train": ["aa", "bb"], "validation": ["cc"]},
)
SMALL = BuildCard({"cnlw_tools": "0"}, "toy", Storage(), "shared")
WHOLE = replace(SMALL, tables={"base": "12"}, configs={"red_40": RED})


OLD_WORDS = {
    "  layout: shared\n": "  layout: bands\n",
    "published_splits: false\n": "splits: drawn\n",
    "train_size: 0\n": "clean: 0\n",
    "imbalance_ratio: 1\n": "longtail: 1\n",
}


def write(folder, card, text=""):
    """Write the block of a card, a text below it, and the list of files."""
    content = front_matter(card, {"license": "mit"}) + "\n# x\n---\n" + text
    (folder / CARD).write_text(content, encoding="utf-8")
    files = [
        {"@type": "cr:FileObject", "contentUrl": f"data/{name}", "sha256": sha256}
        for name, sha256 in card.shards.items()
    ]
    (folder / CROISSANT).write_text(json.dumps({"distribution": files}))


@given(BUILD, st.text(max_size=20))
def test_round_trip(tmp_path_factory, card, text):
    """A card comes back from its files, whatever its names look like and whatever stands below."""
    folder = tmp_path_factory.getbasetemp()
    write(folder, card, text)

    assert read_card(folder) == card


def test_words_of_earlier_versions(tmp_path):
    """A card that an earlier version wrote says what it said, though keys have other names now."""
    text = front_matter(WHOLE, {})
    for word, old_word in OLD_WORDS.items():
        assert word in text
        text = text.replace(word, old_word)
    write(tmp_path, WHOLE)
    (tmp_path / CARD).write_text(text)

    assert read_card(tmp_path) == WHOLE


def test_a_card_with_the_hashes(tmp_path):
    """A card of an earlier version has the sha256 in its block; no other file is read for them."""
    text = front_matter(WHOLE, {}).replace("  about: {}\n", "  shards:\n    aa: '34'\n")
    (tmp_path / CARD).write_text(text)

    assert read_card(tmp_path) == replace(WHOLE, shards={"aa": "34"})


def test_no_list_of_files(tmp_path):
    """Without the list of its files a build is still one, but cannot be read."""
    (tmp_path / CARD).write_text(front_matter(WHOLE, {}))

    assert is_build(tmp_path)
    with pytest.raises(ValueError, match=r"croissant.json, which lists .* is missing: copy it"):
        read_card(tmp_path)


def test_bytes():
    """The block has stayed what it was, so a card is the same file whichever version wrote it."""
    card = replace(WHOLE, about=About(licence="mit"))

    assert front_matter(card, {"license": "mit"}) == (
        "---\n"
        "license: mit\n"
        "configs:\n"
        "- config_name: red_40\n"
        "  data_files:\n"
        "  - split: train\n"
        "    path:\n"
        "    - data/aa-*.parquet\n"
        "    - data/bb-*.parquet\n"
        "  - split: validation\n"
        "    path:\n"
        "    - data/cc-*.parquet\n"
        "cnlw:\n"
        "  made_with:\n"
        "    cnlw_tools: '0'\n"
        "  dataset: toy\n"
        "  images:\n"
        "    size: null\n"
        "    resize: squash\n"
        "    quality: 95\n"
        "    shard_rows: 1000\n"
        "  layout: shared\n"
        "  tables:\n"
        "    base: '12'\n"
        "  configs:\n"
        "    red_40:\n"
        "      recipe:\n"
        "        dataset: toy\n"
        "        noise: red\n"
        "        options:\n"
        "          top: 80\n"
        "        published_splits: false\n"
        "        donors:\n"
        "        - other\n"
        "        validation: 0\n"
        "        train_size: 0\n"
        "        imbalance_ratio: 1\n"
        "        probe: 0\n"
        "        verified: 0\n"
        "        verdict: majority\n"
        "        search: []\n"
        "        nested: true\n"
        "        seed: 0\n"
        "        min_votes: 1\n"
        "        per_class: 0\n"
        "      level: 40\n"
        "      digest: d\n"
        "      rows:\n"
        "        train: 3\n"
        "      rate: 0.4\n"
        "      expected: 0.4\n"
        "      kept:\n"
        "      - 0.5\n"
        "      - 0.7\n"
        "      expected_kept:\n"
        "      - 0.6\n"
        "      - 0.6\n"
        "      segments:\n"
        "        train:\n"
        "        - aa\n"
        "        - bb\n"
        "        validation:\n"
        "        - cc\n"
        "      changed: null\n"
        "  about:\n"
        "    licence: mit\n"
        "---\n"
    )


def test_no_folder(tmp_path):
    """Where there is no card, there is no build."""
    with pytest.raises(
        ValueError, match=r"no build here \(there is no README.md\): point at a folder"
    ):
        read_card(tmp_path / "no")
    assert not is_build(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# A readme",
        "---\n---\n",
        "---\nlicense: mit\n---\n",
        "---\ncnlw: 3\n---\n",
        "---\ncnlw: {}\n---\n",
        "---\ncnlw: {configs: null}\n---\n",
        "---\ncnlw: {configs: {}}\n---\n",
        "---\ncnlw: {configs: {}, version: '0', dataset: x, images: {}, layout: shared, colour: red}\n---\n",
        "---\ncnlw: {configs: {a: {}}}\n---\n",
        "---\n- 1\n---\n",
        "---\na: [\n---\n",
        "---\ncnlw: !!python/object/apply:os.getcwd []\n---\n",
        "---\na: !!int ''\n---\n",
        "---\na: !!bool x\n---\n",
        "---\na: !!timestamp x\n---\n",
        "---\na: 2026-99-99\n---\n",
        "---\na: {[1]: 2}\n---\n",
        "---\na: &a [*a]\n---\n",
        "---\ncnlw: &a {configs: *a}\n---\n",
        "---\na: " + "[" * 100_000 + "\n---\n",
        "---\na: " + "[" * 100_000 + "]" * 100_000 + "\n---\n",
        "---\n" + "- " * 100_000 + "\n---\n",
        b"\xff\xfe---\n",
    ],
)
def test_not_a_card(tmp_path, text):
    """A card that `cnlw build` did not write is refused by name, and its folder is no build."""
    (tmp_path / CARD).write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(
        ValueError,
        match=r"README.md(: not the card of a build| cannot be read as text).*: point at",
    ):
        read_card(tmp_path)
    assert not is_build(tmp_path)


def test_any_node(tmp_path, fuzz):
    """Any value in place of any node is read or an error that names the file."""
    write(tmp_path, WHOLE)
    whole = read_block(tmp_path)

    def read(block):
        (tmp_path / CARD).write_text(f"---\n{json.dumps(block)}\n---\n")  # JSON is YAML
        return front_matter(read_card(tmp_path), {})

    fuzz(whole, read, str(tmp_path / CARD))


def test_is_build(tmp_path):
    """A folder with a card of `cnlw build` is a build."""
    (tmp_path / CARD).write_text(front_matter(SMALL, {}))

    assert is_build(tmp_path)


def test_an_unfinished_build_is_named_as_such(tmp_path):
    """`NAME.partial` is what a killed build left: the error says how to finish it."""
    folder = tmp_path / "toys.partial"
    folder.mkdir()

    with pytest.raises(ValueError, match=r"an unfinished build: run the `cnlw build` of toys"):
        read_card(folder)
