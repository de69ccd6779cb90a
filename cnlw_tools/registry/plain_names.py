"""Names of lower-case letters and digits, for files, labels and configs."""

import re


def plain_name(value: object, joint: str = "-") -> str:
    """Return a value in lower-case letters and digits; ``joint`` stands for all between them."""
    return re.sub(r"[^a-z0-9]+", joint, str(value).lower())
