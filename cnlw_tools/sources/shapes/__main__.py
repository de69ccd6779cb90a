"""Write the tables of ``shapes`` below a folder: ``python -m cnlw_tools.sources.shapes FOLDER``."""

import sys
from pathlib import Path

from cnlw_tools.sources.shapes.tables import write_tables

if len(sys.argv) != 2:
    sys.exit(
        "usage: python -m cnlw_tools.sources.shapes FOLDER   "
        "(the root of the repository, to renew its tables)"
    )
write_tables(Path(sys.argv[1]))
