"""`cnlw fetch`: from URIs to an image store; polite, resumable, safe against hostile manifests.

run.py            fetch many URLs             address.py    which addresses may be requested
worker.py         the hosts of one process    robots.py     what hosts allow
remote_worker.py  a worker in its own process http.py       connections and requests
schedule.py       which host is next          transfer.py   one request, within limits
client.py         what a response means       wayback.py    dead links, from an archive
options.py        how to fetch                network.py    is it the host, or our network?
patience.py       waits for this machine      resources.py  open files and threads
cluster.py        the workers of a cluster    choices.py    what a user may choose

The images and the ledger are in `cnlw_tools.store`. Worker processes do not import Arrow, so that
they start faster.
"""

from cnlw_tools.fetch.options import USER_AGENT, FetchOptions
from cnlw_tools.fetch.run import fetch
from cnlw_tools.fetch.transfer import Limits
from cnlw_tools.fetch.wayback import WAYBACK_URL

__all__ = ["USER_AGENT", "WAYBACK_URL", "FetchOptions", "Limits", "fetch"]
