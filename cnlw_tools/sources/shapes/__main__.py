"""Write the tables of ``shapes`` below a folder: ``python -m cnlw_tools.sources.shapes FOLDER``."""

import sys
from pathlib import Path

from cnlw_tools.sources.shapes.tables import write

if len(sys.argv) != 2:
    sys.exit(
        "usage: python -m cnlw_tools.sources.shapes FOLDER   (the repository's root, to renew its tables)"
    )
write(Path(sys.argv[1]))
