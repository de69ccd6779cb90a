"""The first line of a csv file: what separates its columns, and what they are called."""

import csv

DELIMITERS = ",;\t|"  # of spreadsheets in several languages


def split_header(line: str) -> tuple[str, list[str]]:
    """Return the sign that separates the columns, and their heads without blanks around them.

    Of the usual signs, it is the one that makes most columns.
    """
    delimiter, heads = DELIMITERS[0], [line]
    for sign in DELIMITERS:
        for words in csv.reader([line], delimiter=sign, skipinitialspace=True):
            if len(words) > len(heads):
                delimiter, heads = sign, words
    return delimiter, [head.strip().strip('"') for head in heads]
