"""What a page's script says, as Python reads it: the obvious way back from items.js."""

import base64
import json
import math
from typing import Any

import numpy as np

TYPES = {1: "<u1", 2: "<u2", 4: "<u4"}


def read_script(text: str) -> dict[str, Any]:
    """Return what ``ITEMS`` is."""
    line = text.splitlines()[-1]
    assert line.startswith("const ITEMS = ")
    assert line.endswith(";")
    return json.loads(line.removeprefix("const ITEMS = ").removesuffix(";"))


def read_codes(block: dict[str, Any]) -> list[int]:
    """Return whole numbers."""
    return np.frombuffer(base64.b64decode(block["data"]), TYPES[block["bytes"]]).tolist()


def read_column(block: dict[str, Any]) -> list[Any]:
    """Return a value for each item: a text, a number or None, or a list of dictionaries."""
    if block["kind"] == "text":
        return [block["values"][code] for code in read_codes(block["codes"])]
    if block["kind"] == "number":
        numbers = np.frombuffer(base64.b64decode(block["numbers"]), "<f4").tolist()
        return [None if math.isnan(number) else number for number in numbers]
    fields = {name: read_column(field) for name, field in block["fields"].items()}
    entries = [
        dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)
    ]
    starts = read_codes(block["starts"])
    return [entries[starts[code] : starts[code + 1]] for code in read_codes(block["codes"])]
