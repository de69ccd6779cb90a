"""Lists of images as datasets publish them: text, a line an image."""

from pathlib import Path


def lines(path: Path) -> list[str]:
    """Return the lines of a list that are not empty.

    Raises:
        OSError: the list is missing
        ValueError: it is no text
    """
    try:
        return [
            line.strip()
            for line in path.read_text(encoding="utf-8-sig").splitlines()
            if line.strip()
        ]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the list is missing: complete your copy") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error.reason}): copy this file again") from error


def labelled(path: Path, classes: int) -> dict[str, int]:
    """Return the label of each image of a list of lines ``image label``.

    Raises:
        ValueError: a line of another kind, or a label out of range
    """
    found: dict[str, int] = {}
    for row, line in enumerate(lines(path)):
        image, _, label = line.rpartition(" ")
        if not image or not label.isdecimal() or int(label) >= classes:
            raise ValueError(
                f"{path}: row {row}: {line!r} is not an image and a label from 0 to {classes - 1}: mend it"
            )
        if found.setdefault(image.strip(), int(label)) != int(label):
            raise ValueError(f"{path}: row {row}: {image!r} has two labels: keep one")
    return found
