"""`cnlw fetch`: from URIs to an image store, politely, resumably, and safe against a hostile manifest.

run.py            many URLs                       address.py    which addresses may be requested
worker.py         the sites of one process        robots.py     what sites allow
remote_worker.py  a worker in another process     http.py       one request, within limits
schedule.py       which site is asked next        deadline.py   a time limit for a request
client.py         one step of one URL             wayback.py    dead links, from an archive
options.py        the user's choices

The images and the ledger are in `cnlw_tools.store`. Processes that only ask sites import neither Arrow nor numpy, so
that they begin sooner.
"""

from cnlw_tools.fetch.http import Limits
from cnlw_tools.fetch.options import AGENT, Manners
from cnlw_tools.fetch.run import fetch
from cnlw_tools.fetch.wayback import ARCHIVE

__all__ = ["AGENT", "ARCHIVE", "Limits", "Manners", "fetch"]
