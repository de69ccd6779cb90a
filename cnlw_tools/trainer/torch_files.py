"""Files of torch.save, which may hold nothing but tensors, numbers, strings and containers."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from cnlw_tools.files.untrusted import check_regular, translate_errors


def load_tensors(
    path: Path,
    kind: str,
    remedy: str,
) -> Any:
    """Return what torch.save wrote, of tensors, numbers, strings and containers alone.

    Args:
        path: the file
        kind: what it should be, for errors
        remedy: ends the errors

    Raises:
        BadFile, OSError: it is damaged, holds something else, or cannot be read
    """
    check_regular(path, remedy)
    with translate_errors(path, kind, remedy):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:  # torch's own text advises to trust the file
            raise ValueError("damaged, or it asks for more than tensors and numbers") from error
