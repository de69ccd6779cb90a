"""What a build says of itself, written and read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.card.metadata import CARD, Config, Record, front_matter, is_build, load

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
CONFIG = st.builds(
    Config,
    recipe=st.dictionaries(NAMES, st.none() | st.booleans() | st.integers() | NAMES, max_size=3),
    level=st.integers(0, 95),
    digest=NAMES,
    rows=st.dictionaries(NAMES, st.integers(0, 10**9), max_size=3),
    rate=st.floats(0, 1),
    expected=st.floats(0, 1),
    kept=st.lists(st.floats(0, 1), max_size=2),
    expected_kept=st.lists(st.floats(0, 1), max_size=2),
    segments=st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=3),
)
RECORD = st.builds(
    Record,
    made_with=st.dictionaries(NAMES, NAMES, max_size=2),
    dataset=NAMES,
    images=st.dictionaries(NAMES, st.none() | st.integers() | NAMES, max_size=3),
    layout=NAMES,
    tables=st.dictionaries(NAMES, NAMES, max_size=3),
    configs=st.dictionaries(NAMES, CONFIG, max_size=2),
    shards=st.dictionaries(NAMES, NAMES, max_size=3),
)
SMALL = Record({"cnlw_tools": "0"}, "toy", {"size": None}, "bands")


@given(RECORD, st.text(max_size=20))
def test_round_trip(tmp_path_factory, record, text):
    """A record comes back from its card, whatever its names look like and whatever stands below."""
    folder = tmp_path_factory.getbasetemp()
    (folder / CARD).write_text(
        front_matter(record, {"license": "mit"}) + "\n# x\n---\n" + text, encoding="utf-8"
    )

    assert load(folder) == record


def test_configs_for_datasets(tmp_path):
    """The block names the files of each split, as `datasets` asks for them."""
    config = Config(
        {}, 40, "d", {"train": 3}, 0.4, 0.4, [], [], {"train": ["aa", "bb"], "validation": ["cc"]}
    )
    block = front_matter(
        Record({"cnlw_tools": "0"}, "toy", {}, "bands", configs={"red_40": config}), {}
    )
    start = block[: block.index("cnlw:")]

    assert start == (
        "---\nconfigs:\n- config_name: red_40\n  data_files:\n  - split: train\n    path:\n"
        "    - data/aa-*.parquet\n    - data/bb-*.parquet\n  - split: validation\n    path:\n    - data/cc-*.parquet\n"
    )


def test_no_folder(tmp_path):
    """Where there is no card, there is no build."""
    with pytest.raises(
        ValueError, match=r"no build here \(there is no README.md\): point at a folder"
    ):
        load(tmp_path / "no")
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
        "---\ncnlw: {configs: {}, version: '0', dataset: x, images: {}, layout: bands, colour: red}\n---\n",
        "---\ncnlw: {configs: {a: {}}}\n---\n",
        "---\n- 1\n---\n",
        "---\na: [\n---\n",
        "---\ncnlw: !!python/object/apply:os.getcwd []\n---\n",
        b"\xff\xfe---\n",
    ],
)
def test_not_ours(tmp_path, text):
    """A card that is not ours is refused by name, and its folder is no build."""
    (tmp_path / CARD).write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ValueError, match=r"README.md: not the card of a build"):
        load(tmp_path)
    assert not is_build(tmp_path)


def test_is_build(tmp_path):
    """A folder with a card of ours is a build."""
    (tmp_path / CARD).write_text(front_matter(SMALL, {}))

    assert is_build(tmp_path)
