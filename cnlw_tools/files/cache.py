"""The cache: a folder of this user for what can be made or fetched again."""

import os
from pathlib import Path

REMEDY = "give --cache DIR, or set CNLW_CACHE"


def default_cache() -> Path:
    """Return the cache: $CNLW_CACHE, or a folder in the user's cache.

    Raises:
        FileNotFoundError: there is no such variable, and the user has no home
    """
    cache = os.environ.get("CNLW_CACHE")
    if cache:
        return Path(cache)
    user_cache = os.environ.get("XDG_CACHE_HOME")
    if user_cache:
        return Path(user_cache) / "cnlw_tools"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FileNotFoundError(f"this user has no home folder for a cache: {REMEDY}") from error
    return home / ".cache" / "cnlw_tools"
