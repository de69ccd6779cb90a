"""Label columns of every type, and files that number the same classes in different ways."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cnlw_tools.sources.formats.class_labels import is_label_type, join_labels, read_labels

WORDS = ["rose", "tulip", "rose", "aster"]
VALUES = ["rose", "aster", "tulip"]


def read(values, names=None, path="a.parquet"):
    """Return the labels of a column in one or two chunks."""
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return read_labels(column, "label", Path(path), names, "remove these rows")


def joined(*columns):
    """Return the classes, and the names of the rows of each file."""
    classes, labels = join_labels(columns)
    return classes, [[classes[label] for label in labels[column.path]] for column in columns]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(WORDS),
        pa.array(WORDS, pa.large_string()),
        pa.array(WORDS, pa.string_view()),
        pa.array(WORDS).dictionary_encode(),
        pa.array(WORDS, pa.large_string()).dictionary_encode(),
        pa.DictionaryArray.from_arrays([0, 2, 0, 1], pa.array(VALUES, pa.string_view())),
        pa.array([2, 0, 2, 1], pa.uint8()).dictionary_encode().cast(pa.int64()),
        pa.chunked_array(
            [pa.array(WORDS[:1]).dictionary_encode(), pa.array(WORDS[1:]).dictionary_encode()]
        ),
    ],
    ids=str,
)
def test_types_of_text(values):
    """Text and categories are names of classes, in any of Arrow's types."""
    names = ["tulip", "aster", "rose"] if pa.types.is_integer(values.type) else None
    expected = WORDS if names is None else ["rose", "tulip", "rose", "aster"]

    assert is_label_type(values.type)
    assert joined(read(values, names))[1] == [expected]


def test_order_of_text():
    """Names that are text are sorted, numbers among them by value."""
    assert joined(read(pa.array(["10", "9", "b", "a"])))[0] == ("a", "b", "9", "10")


def test_truth_values():
    """Truth values are the classes False and True."""
    values = pa.array([True, False, True])

    assert joined(read(values)) == (("False", "True"), [["True", "False", "True"]])


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16(), pa.int8(), pa.uint64()])
def test_numbers(kind):
    """Numbers without names are the names themselves, in order of value; 3.0 is 3."""
    values = pa.array(np.array([3, 10, 3], kind.to_pandas_dtype()), kind)

    assert joined(read(values)) == (("3", "10"), [["3", "10", "3"]])


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (pa.array([0, 1.5, 2]), None, "row 1: 1.5: a label is a whole number"),
        (
            pa.array([0, None, float("nan")]),
            None,
            "row 1: None, row 2: nan: no label: remove these",
        ),
        (pa.array([0, float("inf")]), None, "row 1: inf: a label is a whole number"),
        (pa.array([0, None]), None, "row 1: None: no label: remove these rows"),
        (pa.array([0, -1]), ["a"], "row 1: -1: no label: remove these rows"),
        (pa.array([0, 2]), ["a", "b"], "row 1: 2: the class names end at 1"),
        (pa.array([2**63], pa.uint64()), None, "row 0: 9223372036854775808: no label of a class"),
        (pa.array(["a", "", " ", None]), None, "row 1: '', row 2: ' ', row 3: None: no label"),
        (pa.array(["a", None]).dictionary_encode(), None, "row 1: None: no label"),
        (pa.array([True, None]), None, "row 1: None: no label"),
        (pa.array([-1] * 12), None, r"row 9: -1 \(12 rows\): no label"),
        (pa.array([0]), ["a", "a"], "two classes are called 'a': rename one"),
        (pa.array([0]), ["a", " "], "class 1 has no name: give it one"),
    ],
)
def test_rows_without_a_label(values, names, message):
    """Rows without a label are an error that names file, column, rows and values."""
    with pytest.raises(ValueError, match=f"^a.parquet: column 'label'.*{message}"):
        read(values, names)


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.date32(), pa.null(), pa.binary()])
def test_other_types(kind):
    """Lists, dates and bytes are no labels."""
    assert not is_label_type(kind)


@pytest.mark.parametrize(
    ("first", "second", "classes"),
    [
        (["a", "b"], ["b", "a"], ("a", "b")),
        (["b", "a"], ["a", "b"], ("b", "a")),
        (["a", "b", "c"], ["c", "a"], ("a", "b", "c")),
        (["c", "a"], ["a", "b", "c"], ("c", "a", "b")),
        (["a"], ["b"], ("a", "b")),
    ],
)
def test_lists_in_another_order(first, second, classes):
    """A name is one class in all files; the first file orders the classes, others add theirs."""
    words = [first * 2, second[::-1]]
    numbers = [
        pa.array([names.index(word) for word in group])
        for names, group in zip((first, second), words, strict=True)
    ]
    columns = [read(numbers[0], first), read(numbers[1], second, "b.parquet")]

    assert joined(*columns) == (classes, words)


def test_names_and_text():
    """Names of numbers and text are joined by name; text that no list names comes last."""
    columns = [read(pa.array(["z", "b"])), read(pa.array([0, 1]), ["b", "a"], "b.parquet")]

    assert joined(*columns) == (("b", "a", "z"), [["z", "b"], ["b", "a"]])


def test_unicode_forms():
    """Composed and decomposed letters are one name."""
    columns = [
        read(pa.array(["café", "caf\u00e9"])),
        read(pa.array([0]), ["cafe\u0301"], "b.parquet"),
    ]

    assert joined(*columns)[0] == ("caf\u00e9",)


@pytest.mark.parametrize("text", [pa.array(["a"]), pa.array([True])])
def test_names_and_numbers(text):
    """Names in one file and numbers without names in another are an error that names both."""
    columns = [read(pa.array([0, 1])), read(text, None, "b.parquet")]

    with pytest.raises(
        ValueError, match=r"^b.parquet: its labels are text, but those of a.parquet"
    ):
        join_labels(columns)


@pytest.mark.parametrize(("first", "second"), [("a", "a "), ("1", "01")])
def test_one_name_in_two_ways(first, second):
    """One name in two spellings, in one file or two, is an error that shows both."""
    columns = [read(pa.array([first, "b"])), read(pa.array([second]), None, "d/b.parquet")]

    with pytest.raises(ValueError, match=r"are the same name in two spellings"):
        join_labels(columns)
