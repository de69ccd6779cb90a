"""The page of all checks of `cnlw validate`, made from the table of checks."""

import sys

from cnlw_tools.checks import CHECKS
from docs.generate.markdown import code, escape, heading, table


def make_pages() -> dict[str, str]:
    """Return the page of checks."""
    text = heading("Checks")
    text += (
        "`cnlw validate BUILD` runs these checks in this order. A build is valid if none of them "
        "finds an error. [What `cnlw validate` proves](../validate.md) lists many changes to a "
        "build, and says which of them the checks find.\n\n"
    )
    rows = []
    for check in CHECKS:
        module = sys.modules[check.run.__module__].__name__.rpartition(".")[2]
        rows.append([code(check.name), escape(_sentence(check.claim)), code(f"checks/{module}.py")])
    text += table(["check", "what it proves", "source file in cnlw_tools"], rows)
    text += heading("What to do about an error", 2)
    text += (
        "Every error says where it is and how to fix it. Errors that may follow from another error are "
        "listed below that error. Fix the cause, and validate again.\n\n"
        "- **A file is missing or damaged:** delete the damaged file and run the same `cnlw build` "
        "again. The command writes only the files that are missing.\n"
        "- **Rows or numbers differ from the plan:** the build was changed. Build it again "
        "into a new folder, with the recipe on the card.\n"
        "- **Tables differ from their digests on the card:** restore the folder `tables/` from the "
        "published build.\n"
        "- **An image differs from its source:** make sure that your copy of the dataset is the "
        "version whose digests are in the manifest.\n"
    )
    return {"reference/checks.md": text}


def _sentence(claim: str) -> str:
    return f"{claim[:1].upper()}{claim[1:]}."
