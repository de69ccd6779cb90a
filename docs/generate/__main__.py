"""Write what the site builder reads: python -m docs.generate FOLDER."""

import sys
from pathlib import Path

from docs.generate.site import write_site

USAGE = "usage: python -m docs.generate FOLDER, which is deleted first"


def main() -> None:
    """Write the pages into the folder that the command line names, or say what is wrong."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(USAGE)
    folder = Path(sys.argv[1])
    try:
        n_pages = write_site(folder)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    sys.stdout.write(f"{folder}: {n_pages} pages\n")


if __name__ == "__main__":
    main()
