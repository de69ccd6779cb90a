"""What the card of a dataset says about its configs."""

import pytest

from cnlw_tools.sources.formats.dataset_card import Config, class_names, read_configs


def read(folder, text, name="README.md"):
    """Return the configs of a card."""
    (folder / name).write_text(text)
    return read_configs(folder)


@pytest.mark.parametrize("text", ["", "# Birds", "---\n---\n", "---\nlicense: mit\n---\n# Birds"])
def test_no_configs(tmp_path, text):
    """A card without configs says nothing about files."""
    assert read(tmp_path, text) == {"": Config()}


def test_configs(tmp_path):
    """Patterns of one split, of several, or of a folder; the standalone file comes first."""
    configs = """
configs:
- config_name: default
  data_files: "*.parquet"
- config_name: b
  default: true
  data_dir: small
- config_name: c
  data_files:
  - split: train
    path: [a, b]
  - {split: test, path: c}
"""
    expected = {
        "default": Config("default", "", {"train": ["*.parquet"]}, is_default=True),
        "b": Config("b", "small", {}, is_default=True),
        "c": Config("c", "", {"train": ["a", "b"], "test": ["c"]}),
    }

    assert read(tmp_path, f"\ufeff---\n{configs}\n---\n") == expected
    (tmp_path / "README.md").write_text("---\nconfigs: 3\n---\n")
    assert read(tmp_path, configs, ".huggingface.yaml") == expected


def test_class_names_and_rows(tmp_path):
    """Class names in the order of their numbers, and rows of each split."""
    text = """---
dataset_info:
  features:
  - {name: image, dtype: image}
  - name: label
    dtype: {class_label: {names: {'2': c, '1': b, '0': a}}}
  splits:
  - {name: train, num_bytes: 5, num_examples: 3}
---
"""
    (config,) = read(tmp_path, text).values()

    assert config.class_names == {"label": ("a", "b", "c")}
    assert config.n_rows == {"train": 3}


def test_numbers_that_are_passed_over():
    """A number without a name leaves a name empty; names do not move up to other numbers."""
    assert class_names({"names": {"0": "a", "2": "c"}}) == ("a", "")
    assert class_names({"names": ["a", None]}) == ("a", "")


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ("3", "configs = 3 is not allowed: it must be a list"),
        ("[3]", "3 has no config_name"),
        ("[{config_name: a}, {config_name: a}]", "two configs are called 'a'"),
        (
            "[{config_name: a, filters: [[label, '>', 1]]}]",
            "'a' has the key 'filters', which leaves out rows",
        ),
        ("[{config_name: a, data_files: []}]", "the list is empty"),
        (
            "[{config_name: a, data_files: [{split: train}]}]",
            "give paths, or entries with split and path",
        ),
        ("[{config_name: a, data_files: [{split: 'a b', path: x}]}]", "give paths"),
        (
            "[{config_name: a, data_files: [{split: a, path: x}, {split: a, path: y}]}]",
            "the split a is listed twice",
        ),
        (
            "[{config_name: a, data_files: ../x}]",
            "names '../x', which is outside of the folder: copy the files into",
        ),
        (
            "[{config_name: a, data_files: /x}]",
            "names '/x', which is outside of the folder: copy the files into",
        ),
        (
            "[{config_name: a, data_files: 'hf://x/y'}]",
            "names 'hf://x/y', which is outside of the folder: copy the files into",
        ),
        (
            "[{config_name: a, data_dir: ../x}]",
            "names '../x', which is outside of the folder: copy the files into",
        ),
        ("[{config_name: a", "cannot be read as YAML"),
        ("!!python/object:os.system x", "cannot be read as YAML"),
    ],
)
def test_a_wrong_card(tmp_path, configs, message):
    """A card that is not what it should be is an error that names it."""
    with pytest.raises(ValueError, match=rf"README.md:? .*{message}"):
        read(tmp_path, f"---\nconfigs: {configs}\n---\n")


def test_not_utf8(tmp_path):
    """A card in another encoding is an error that says so."""
    (tmp_path / "README.md").write_bytes(b"---\nname: caf\xe9\n---\n")

    with pytest.raises(
        ValueError, match=r"README.md cannot be read as text in UTF-8 .*: store it as UTF-8"
    ):
        read_configs(tmp_path)
