"""Ids and names of classes as names of files, on any file system.

safe_name(name) = name, with "_" for every character that is not a letter, a digit, or one of
_ - + = , . ' & ( ) and the space, and for a dot or a space at either end
"""

import re

UNSAFE = re.compile(r"[^\w+=,.'& ()-]|^[. ]|[. ]$")


def safe_name(name: str) -> str:
    """Return a name as that of a file or folder; different names may become the same one."""
    return UNSAFE.sub("_", name) or "_"
