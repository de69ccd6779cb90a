"""`cnlw fetch`: from URIs to an image store, politely, resumably, and safe against a hostile manifest.

manifest.py   what to fetch          address.py   what may be asked for, and where it really is
schedule.py   who is asked next      robots.py    what sites want
run.py        many URLs              web.py       one request, within limits
share.py      the sites of a process away.py      one that is elsewhere
store.py      images and ledger      get.py       one step of one URL
kinds.py      classes of failures    look.py      what a body is
archive.py    dead links             unfit.py     what should not become data (placeholders.py: known files)
snapshot.py   the ledger, to read    img2dataset.py  its output, out and in

Of these `manifest`, `snapshot`, `unfit` and `img2dataset` need Arrow or numpy, and are imported as modules: processes
that only ask sites begin sooner without.
"""

from cnlw_tools.fetch import placeholders
from cnlw_tools.fetch.archive import ARCHIVE
from cnlw_tools.fetch.kinds import FAILED, KINDS, Tally, chosen
from cnlw_tools.fetch.manners import AGENT, Manners
from cnlw_tools.fetch.run import fetch
from cnlw_tools.fetch.store import Store, writing
from cnlw_tools.fetch.web import Limits

__all__ = [
    "AGENT",
    "ARCHIVE",
    "FAILED",
    "KINDS",
    "Limits",
    "Manners",
    "Store",
    "Tally",
    "chosen",
    "fetch",
    "placeholders",
    "writing",
]
