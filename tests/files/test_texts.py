"""Text, CSV, JSON, TOML and YAML are read with limits, and raise one kind of error."""

import pytest

from cnlw_tools.files.texts import parse_json, parse_toml, read_csv, read_csv_rows, read_text
from cnlw_tools.files.untrusted import BadFile
from cnlw_tools.files.yaml_text import parse_yaml


def laughs(n_levels: int) -> str:
    """Return YAML in which every level names the one below nine times."""
    lines = ["a0: &a0 [x]"]
    for level in range(1, n_levels):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100 + "]" * 100, "nested more than 64 levels deep"),
        ("1e400", "does not fit into 64 bits"),
        ("1" + "0" * 30, "does not fit into 64 bits"),
        ("9" * 5000, "Exceeds the limit"),
        ('{"a": 1, "a": 2}', "the key 'a' occurs 2 times"),
        ("[" + "0," * 10_000_001 + "0]", "more than 10,000,000 values"),
        (b"\xff[]", "codec can't decode"),
    ],
)
def test_hostile_json(text, reason):
    """JSON that is broken, deep, huge or ambiguous is refused in one line."""
    with pytest.raises(BadFile, match=rf"^a\.json:? .*{reason}.*: export it again$"):
        parse_json(text, "a.json", "export it again")


def test_json_keeps_what_our_runs_write():
    """Not a number, infinity and the integers of 64 bits are read as they were written."""
    values = parse_json('[NaN, Infinity, -Infinity, 18446744073709551615, 1e308, ""]', "a.json")

    assert [float("inf"), float("-inf"), 2**64 - 1, 1e308, ""] == values[1:]
    assert values[0] != values[0]


@pytest.mark.parametrize(
    "text",
    ["a = ", "a = " + "[" * 100_000, "a" + ".a" * 1000 + " = 1", "a = 1\na = 2", "a = 1e400"],
)
def test_hostile_toml(text):
    """TOML that is broken, deep, huge or ambiguous is refused in one line."""
    with pytest.raises(BadFile, match=r"^a\.toml:? "):
        parse_toml(text, "a.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (laughs(30), "more than 1,000,000 values when aliases are written out"),
        ("a: &a [*a]", "more than 1,000,000 values"),
        ("a: &a {b: *a}", "more than 1,000,000 values"),
        ("[" * 100_000, "nested more than 64 levels deep"),
        ("a: 1\na: 2", "'a' occurs twice"),
        ("a: !!int ''", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
    ],
)
def test_hostile_yaml(text, reason):
    """YAML that is broken, deep, ambiguous, or expands by its aliases is refused in one line."""
    with pytest.raises(BadFile, match=rf"^card .*{reason}"):
        parse_yaml(text, "card")


def test_aliases_are_values():
    """A few aliases, as our own cards have, stand for what they name."""
    assert {"a": ["x"], "b": [["x"], ["x"]]} == parse_yaml("a: &a [x]\nb: [*a, *a]", "card")


def test_text_that_is_none(tmp_path):
    """A text in another encoding is refused by name."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"caf\xe9")

    with pytest.raises(BadFile, match=r"a\.txt cannot be read as text in UTF-8 .*: store it as"):
        read_text(path)


def test_csv_rows(tmp_path):
    """A row that is too short has empty values, one that is too long keeps the first."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1\r\n1,2,3\r\n")

    assert [{"a": "1", "b": ""}, {"a": "1", "b": "2"}] == read_csv_rows(path)


@pytest.mark.parametrize(
    ("rows", "line"),
    [('1.png,"cat\n2.png,dog\n', 2), ('1.png,cat\n2.png,"dog\n3.png,"cat"\n', 3)],
)
def test_a_quote_that_is_not_closed(tmp_path, rows, line):
    """A quote that is not closed would hide the rows behind it: an error with the line."""
    path = tmp_path / "a.csv"
    path.write_text(f"path,label\n{rows}")

    with pytest.raises(BadFile, match=rf"a\.csv cannot .*line {line}: .*; a quote is not closed"):
        read_csv(path)


def test_csv_with_an_endless_value(tmp_path):
    """A quote that is never closed is an error, not a value of a megabyte."""
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"' + "x" * 1_000_000)

    with pytest.raises(BadFile, match=r"a\.csv cannot be read as CSV"):
        read_csv_rows(path)
