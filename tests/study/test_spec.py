"""Studies, read strictly."""

import json

import pytest

from cnlw_tools import files
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import (
    FOLDER,
    find_study,
    parse_study,
    read_study,
    study_names,
    study_scales,
)

RAW = {
    "dataset": "shapes",
    "configs": [
        {"noise": "blue", "levels": [0, 40]},
        {"noise": "symmetric", "levels": [20], "probe": 5},
    ],
    "methods": [
        {"name": "vanilla"},
        {"name": "mixup", "options": {"per": "batch"}, "grid": {"alpha": [1, 8]}},
    ],
}
STUDIES = sorted((files.default_root() / FOLDER).glob("*.toml"))


def listed(**said):
    """The runs of a study."""
    return expand_study(parse_study(RAW | said, "test"), files.default_root())


def test_a_scale_goes_before_what_stands_above():
    """And has to be named where there is one."""
    raw = RAW | {"seeds": [0], "scale": {"small": {"seeds": [1, 2]}, "paper": {}}}

    assert parse_study(raw, "test", "small").seeds == (1, 2)
    assert parse_study(raw, "test", "paper").seeds == (0,)
    with pytest.raises(
        ValueError, match=r"test: no scale is named: give one with --scale: small, paper"
    ):
        parse_study(raw, "test")


PUBLISHED = {
    "table": "t",
    "columns": {"a": "blue_40", "b": ["blue_40"]},
    "rows": {"Vanilla": "vanilla"},
}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"seed": [0]}, "unknown key 'seed'. Did you mean 'seeds'"),
        ({"seeds": 3}, "seeds = 3: it must be a list of whole numbers"),
        ({"seeds": [True]}, r"seeds\[0\] = True: it must be a whole number"),
        ({"configs": []}, "it must be one or more tables"),
        ({"methods": [{}]}, r"'methods\[0\].name' is missing"),
        (
            {"methods": [{"nme": "vanilla"}]},
            r"unknown key 'methods\[0\].nme'. Did you mean 'name'",
        ),
        (
            {"methods": [{"name": "vanilla", "option": {}}]},
            r"unknown key 'methods\[0\].option'. Did you mean 'options'",
        ),
        (
            {"methods": [{"name": "mixup", "grid": {"alpha": 3}}]},
            r"methods\[0\].grid.alpha = 3: it must be a list",
        ),
        (
            {"methods": [{"name": "mixup", "grid": {"alpha": []}}]},
            r"methods\[0\].grid = .*: it must be a table of lists, none of them empty",
        ),
        ({"configs": [{"level": [3]}]}, "names no noise"),
        (
            {"configs": [{"noise": "blue", "level": [3]}]},
            "unknown key 'level'. Did you mean 'levels'",
        ),
        ({"configs": [{"noise": "blue", "grid": {"a": 1}}]}, "grid.a = 1: it must be a list"),
        ({"methods": [{"name": "vanilla"}] * 2}, "two runs are called blue_00/vanilla_s0"),
        ({"build": "a/b"}, "build = 'a/b': it must be the name of a folder"),
        ({"scale": 3}, "it must be tables"),
        (
            {"published": [PUBLISHED | {"metric": "peak"}]},
            "metric = 'peak': it must be one of last, best, mean10",
        ),
        ({"published": [{"table": "t"}]}, r"'published\[0\].columns' is missing"),
        ({"published": [PUBLISHED | {"factor": 0}]}, "factor = 0"),
        ({"figures": ["belt"]}, "unknown figure 'belt'. Did you mean 'belts'"),
        ({"figures": ["grid"]}, "the figure 'grid' needs the key 'y_axis'"),
        (
            {"figures": ["scatter"], "net_values": {}},
            "the figure 'scatter' needs the key 'net_values'",
        ),
        ({"net_values": {"mlp1": "3"}}, "net_values.mlp1 = '3': it must be a number"),
        ({"rule": "best"}, "'rule' is called 'select_by' now: rename it"),
        (
            {"methods": [{"name": "mixup", "on": ["blue*"]}]},
            r"\[\[methods\]\]: 'on' is called 'configs' now",
        ),
        (
            {"published": [PUBLISHED | {"times": 100}]},
            r"\[\[published\]\]: 'times' is called 'factor' now",
        ),
        (
            {"configs": [{"noise": "blue", "preset": 3}]},
            "preset = 3: it must be the name of a preset",
        ),
    ],
)
def test_what_is_wrong_is_named(said, message):
    """Key, value, remedy."""
    with pytest.raises(ValueError, match=message):
        listed(**said)


def test_unknown_noise_and_unknown_scale():
    """With what was probably meant."""
    with pytest.raises(LookupError, match=r"unknown noise 'bleu'\. Did you mean 'blue'"):
        listed(configs=[{"noise": "bleu"}])
    with pytest.raises(ValueError, match=r"no scale 'smal'\. Did you mean 'small'"):
        parse_study(RAW | {"scale": {"small": {}}}, "test", "smal")


def test_a_study_is_found_by_name_or_path(tmp_path):
    """And a wrong name says which there are."""
    path = tmp_path / "mine.toml"
    path.write_text('dataset = "shapes"')

    assert find_study(str(path), files.default_root()) == path
    with pytest.raises(LookupError, match="unknown study 'mien'"):
        find_study("mien", files.default_root())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_of_the_package_can_be_read(path):
    """At every scale; its first line says what it is; what it compares with is there."""
    tables = json.loads(
        (files.default_root() / FOLDER / "published.json").read_text(encoding="utf-8")
    )

    assert path.stem in study_names(files.default_root())
    assert path.read_text(encoding="utf-8").startswith("# ")
    for scale in study_scales(path) or [""]:
        assert all(entry.table in tables for entry in read_study(path, scale).published)
