"""Recipes: read strictly, every complaint with the file, the key and what it must be."""

import re
import struct
import tomllib
from hashlib import sha256

import numpy as np
import pytest

from cnlw_tools.recipe.keys import INPUT, LEVEL, PLAN, STORAGE, TEXT, declared_keys
from cnlw_tools.recipe.recipe import (
    BENCHMARK_LEVELS,
    Recipe,
    config_name,
    merge_choices,
    name_without_level,
    parse_recipe,
    read_recipe,
)
from cnlw_tools.recipe.strict import read_dataclass
from cnlw_tools.recipe.toml import parse_option, read_toml, to_toml

GOOD = {"dataset": "toy", "noise": "red"}


def test_load(tmp_path):
    """A recipe says what it says, and the defaults for the rest."""
    path = tmp_path / "r.toml"
    path.write_text(
        'dataset = "toy"\nnoise = "red"\nlevels = [40, 5]\nsize = 32\n[options]\ntop = 60\n'
    )

    assert read_recipe(path) == Recipe("toy", "red", levels=(40, 5), size=32, options={"top": 60})
    assert Recipe("toy", "red").levels == BENCHMARK_LEVELS


def test_missing(tmp_path):
    """A missing recipe is named, with the way to see those that there are."""
    with pytest.raises(
        FileNotFoundError,
        match=re.escape(f"{tmp_path / 'no.toml'}: there is no such recipe; `cnlw"),
    ):
        read_recipe(tmp_path / "no.toml")


@pytest.mark.parametrize("raw", [b"dataset = ", b"\xff\xfe", b"a = 1\na = 2\n", b"= 1"])
def test_not_toml(tmp_path, raw):
    """What is not TOML is refused by name."""
    path = tmp_path / "r.toml"
    path.write_bytes(raw)

    with pytest.raises(ValueError, match=re.escape(f"{path} cannot be read as TOML (")):
        read_toml(path, "recipe")


def test_unknown_key():
    """An unknown key is refused with the one that was probably meant."""
    with pytest.raises(
        ValueError,
        match=r"^x: unknown key 'level'. Did you mean 'levels'\? The choices are: dataset, ",
    ):
        parse_recipe({**GOOD, "level": [40]}, "x")


@pytest.mark.parametrize("key", ["dataset", "noise"])
def test_missing_key(key):
    """A recipe without dataset or noise is refused with the line to add."""
    with pytest.raises(ValueError, match=f"^x: '{key}' is missing: add it$"):
        parse_recipe({k: v for k, v in GOOD.items() if k != key}, "x")


WRONG = [
    ("dataset", "Toy"),
    ("dataset", ""),
    ("dataset", "../toy"),
    ("dataset", "toy\n"),
    ("dataset", 3),
    ("noise", 1),
    ("levels", []),
    ("levels", 40),
    ("levels", [96]),
    ("levels", [100]),
    ("levels", [-5]),
    ("levels", [40.0]),
    ("levels", [True]),
    ("levels", ["40"]),
    ("levels", [[40]]),
    ("seed", -1),
    ("seed", 2**63),
    ("seed", True),
    ("seed", 1.0),
    ("nested", 1),
    ("nested", "yes"),
    ("verdict", "dawid"),
    ("verdict", ["majority"]),
    ("search", "text"),
    ("search", [""]),
    ("search", [1]),
    ("donors", ["Cifar 100"]),
    ("donors", ["white", "white"]),
    ("donors", "white"),
    ("min_votes", 0),
    ("min_votes", True),
    ("size", 0),
    ("size", True),
    ("size", 8193),
    ("size", 32.0),
    ("resize", "stretch"),
    ("resize", []),
    ("quality", 0),
    ("quality", 101),
    ("quality", True),
    ("layout", "tar"),
    ("licence", None),
    ("citation", 1),
    ("options", ["top"]),
]


@pytest.mark.parametrize("form", ["rows", "csv", "npy"])
def test_a_matrix_is_rows_or_a_file_of_them(tmp_path, form):
    """The recipe holds the matrix itself, so whoever has the recipe needs no file; its name is short."""
    rows = [[0.9, 0.1], [0.25, 0.75]]
    np.save(tmp_path / "q.npy", np.array(rows))
    (tmp_path / "q.csv").write_text("0.9,0.1\n0.25,0.75\n")
    found = parse_recipe(
        {**GOOD, "options": {"q": rows if form == "rows" else str(tmp_path / f"q.{form}")}}, "x"
    )
    again = tomllib.loads(to_toml({"dataset": "toy", "noise": "x", "options": found.options}))

    assert found.options == {"q": rows}
    digest = sha256(struct.pack("<4d", 0.9, 0.1, 0.25, 0.75)).hexdigest()
    assert config_name(found, None, {"q": []}, {"q"}) == f"red_{digest[:6]}"
    assert parse_recipe(again, "x").options == found.options


@pytest.mark.parametrize(
    ("text", "message"),
    [("1,2\n3", "give a matrix as rows of numbers"), ("a,b", "rows of numbers"), (None, "no file")],
)
def test_a_matrix_that_cannot_be_read(tmp_path, text, message):
    """Rows of two lengths, words, no file."""
    path = tmp_path / "q.csv"
    if text:
        path.write_text(text)
    with pytest.raises((ValueError, OSError), match=f"x: option q: .*{message}"):
        parse_recipe({**GOOD, "options": {"q": str(path)}}, "x")


def test_a_ragged_matrix():
    """Rows of two lengths in the recipe itself."""
    with pytest.raises(
        ValueError, match=r"x: option q: .*: give a matrix as rows of numbers, all of one length"
    ):
        parse_recipe({**GOOD, "options": {"q": [[1, 2], [3]]}}, "x")


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_bad_value(key, value):
    """A value of another type or out of range is refused with what it must be; true is no number."""
    with pytest.raises(ValueError, match=rf"^x: {key}(\[0\])? = .*: it must be "):
        parse_recipe({**GOOD, key: value}, "x")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("levels", [0, 95]),
        ("seed", 2**63 - 1),
        ("size", 8192),
        ("size", None),
        ("quality", 1),
        ("dataset", "0-a_b"),
        ("search", ["text"]),
    ],
)
def test_good_value(key, value):
    """The ends of the ranges are good."""
    found = getattr(parse_recipe({**GOOD, key: value}, "x"), key)

    assert found == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("recipe", "level", "expected"),
    [
        (Recipe("toy", "red"), 40, "red_40"),
        (Recipe("toy", "red"), 5, "red_05"),
        (Recipe("toy", "red", seed=1), 0, "red_00_s1"),
        (Recipe("toy", "red", verdict="dawid_skene", seed=1), 40, "red_40_dawid-skene_s1"),
        (Recipe("toy", "red", search=("text",)), 40, "red_40_text"),
        (
            Recipe("toy", "red", search=("text", "Image to image", "text")),
            40,
            "red_40_image-to-image-text",
        ),
        (Recipe("toy", "red", options={"top": 80}), 40, "red_40"),
        (Recipe("toy", "red", options={"top": 60}), 40, "red_40_t60"),
        (
            Recipe("toy", "red", options={"top": 60}, seed=2, nested=False),
            40,
            "red_40_t60_independent_s2",
        ),
        (
            Recipe("toy", "x", options={"include_self": True, "delta": 0.25, "order": "Up & Down"}),
            40,
            "",
        ),
        (Recipe("toy", "dilution", options={"alpha": 20.0}), None, "dilution_a20"),
        (Recipe("toy", "dilution"), None, "dilution_a20"),
        (
            Recipe(
                "toy", "dilution", options={"alpha": 2.5, "delta": 0.5, "order": "random"}, seed=1
            ),
            None,
            "dilution_a2.5_s1",
        ),
    ],
)
def test_config_name(recipe, level, expected):
    """A config's name holds the level, if there is one, then what differs from the default or shows always, sorted."""
    expected = expected or "x_40_d25_self_up-down"
    defaults = {"top": 80, "include_self": False, "alpha": 20.0, "delta": 0.5, "order": "random"}

    assert (
        config_name(recipe, level, defaults, {"alpha"} if recipe.noise == "dilution" else ())
        == expected
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("top=60", ("top", 60)),
        (" top = 60", ("top", 60)),
        ("x=0.5", ("x", 0.5)),
        ("x=true", ("x", True)),
        ("x=word", ("x", "word")),
        ("x='1'", ("x", "1")),
        ("x=[1, 2]", ("x", [1, 2])),
        ("x=a=b", ("x", "a=b")),
        ("x=", ("x", "")),
        ("x=2/3", ("x", 2 / 3)),
        ("x=2/3/4", ("x", "2/3/4")),
        ("x=2/0", ("x", "2/0")),
    ],
)
def test_option(text, expected):
    """An option is read as TOML would; a bare word is a string, and 2/3 a fraction."""
    assert parse_option(text) == expected


@pytest.mark.parametrize("text", ["top", "", "=60", " =60"])
def test_bad_option(text):
    """An option without a name or equals sign is refused."""
    with pytest.raises(ValueError, match="write it as name=value"):
        parse_option(text)


def test_byte_order_mark(tmp_path):
    """A recipe that an editor marked as UTF-8 is a recipe; a folder is none."""
    (tmp_path / "x.toml").write_bytes(b'\xef\xbb\xbfdataset = "a"\nnoise = "red"\n')

    assert read_recipe(tmp_path / "x.toml").dataset == "a"
    with pytest.raises(IsADirectoryError, match=r"a folder, not a recipe: name the \.toml file"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    ("config", "noise", "level", "expected"),
    [
        ("blue_40", "blue", 40, "blue"),
        ("red_00_t20_probe2_s1", "red", 0, "red_t20_probe2_s1"),
        ("structured_a20_d50_reverse", "structured", None, "structured_a20_d50_reverse"),
        ("human", "human", None, "human"),
        ("red_standin_80", "red_standin", 80, "red_standin"),
        ("mix_40_40", "mix", 40, "mix_40"),
        ("by hand", "blue", 40, "by hand"),
    ],
)
def test_name_without_level(config, noise, level, expected):
    """Configs that differ in the level alone have one name without it, the one that a recipe without levels gives."""
    assert name_without_level(config, noise, level) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clean": 2000}, "'clean' is called 'train_size' now: rename it"),
        ({"longtail": 10}, "'longtail' is called 'imbalance_ratio' now"),
        ({"side": "x.npy"}, "'side' is called 'side_table' now"),
        ({"splits": "official"}, "'splits' is called 'published_splits' now"),
        ({"needs": "the tar"}, "'needs' is called 'data_dir_layout' now"),
        ({"layout": "bands"}, "the value 'bands' of layout is called 'shared' now: change it"),
    ],
)
def test_a_recipe_with_the_words_of_earlier_versions(change, message):
    """What a person wrote is refused, with the word to write instead."""
    with pytest.raises(ValueError, match=f"^x: {message}"):
        parse_recipe({**GOOD, **change}, "x")


def test_choices_go_before_the_file():
    """Keys of a user replace those of the file, and options are joined."""
    raw = {**GOOD, "per_class": 500, "options": {"top": 60, "x": 1}}

    assert merge_choices(raw, {"noise": "blue", "options": {"x": 2}}) == {
        "dataset": "toy",
        "noise": "blue",
        "per_class": 500,
        "options": {"top": 60, "x": 2},
    }


@pytest.mark.parametrize("options", [5, "x", [1]])
def test_options_that_are_no_table(options):
    """Of the file or of the user: the reader of the recipe names them."""
    raw = {"dataset": "shapes", "noise": "blue", "levels": [40]}
    for keys in (
        merge_choices({**raw, "options": options}, {"options": {"x": 1}}),
        merge_choices(raw, {"options": options}),
    ):
        with pytest.raises(ValueError, match=r"^the test: options = .*: it must be a table"):
            parse_recipe(keys, "the test")


def test_published_splits_go_before_what_the_file_says_about_drawing():
    """Keys of drawing in the file are left out; those that the user gives stay, and are an error later."""
    raw = {**GOOD, "per_class": 500, "size": 84, "options": {"top": 60}}
    choices = {"published_splits": True, "probe": 10}

    assert merge_choices(raw, choices) == {
        **GOOD,
        "size": 84,
        "published_splits": True,
        "probe": 10,
        "options": {},
    }


def test_a_record_with_the_words_of_earlier_versions():
    """Cards and plans that earlier versions wrote are read as they were meant."""
    words = {"clean": 2000, "longtail": 10, "side": "x.npy", "splits": "official", "needs": "a"}

    assert read_dataclass(Recipe, {**GOOD, **words, "layout": "bands"}, "x") == Recipe(
        **GOOD,
        train_size=2000,
        imbalance_ratio=10,
        side_table="x.npy",
        published_splits=True,
        data_dir_layout="a",
        layout="shared",
    )
    assert read_dataclass(Recipe, {**GOOD, "splits": "drawn"}, "x") == Recipe(**GOOD)
    with pytest.raises(ValueError, match=r"^x: unknown key 'clean'"):
        read_dataclass(Recipe, {**GOOD, "clean": 1, "train_size": 1}, "x")


def test_every_key_of_a_recipe_is_declared_whole():
    """Each has a help text that is a sentence and a kind; each option has a word of its own."""
    keys = declared_keys(Recipe)
    options = [key.option for key in keys.values() if key.option]

    assert all(key.help.endswith(".") and len(key.help) <= 80 for key in keys.values())
    assert {key.kind for key in keys.values()} == {PLAN, LEVEL, INPUT, STORAGE, TEXT}
    assert len({*options}) == len(options)
