"""How to fetch: the user's choices."""

from dataclasses import dataclass, field

from cnlw_tools import __version__
from cnlw_tools.executor.work_shard import WHOLE, WorkShard
from cnlw_tools.fetch.transfer import Limits
from cnlw_tools.images.pixels import Storage
from cnlw_tools.store.inspect import MAX_PIXELS

USER_AGENT = f"cnlw_tools/{__version__}"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch."""

    per_host: int = 4  # requests to one host at once; 0: no limit
    max_tries: int = 3  # of one URL, where another attempt may succeed
    obey_robots: bool = True  # robots.txt
    obey_opt_out: bool = True  # the header X-Robots-Tag
    allow_private: bool = False  # request private, loopback and link-local addresses, too
    user_agent: str = USER_AGENT
    limits: Limits = field(default_factory=Limits)
    max_pixels: int = MAX_PIXELS  # of one image
    keep: Storage | None = None  # keep images as builds like this store them; None: the originals
    work_shard: WorkShard = WHOLE  # the sites of one of several fetches, each with its own store
    archive: str = ""  # URL that is put before the URI of a dead link; empty: ask no archive
    patience: float = 300.0  # seconds that this machine may be at fault before the run ends
