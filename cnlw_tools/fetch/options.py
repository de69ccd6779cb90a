"""How to ask: what a user may choose."""

from dataclasses import dataclass, field

from cnlw_tools import __version__
from cnlw_tools.fetch.http import Limits
from cnlw_tools.store.inspect import PIXELS

AGENT = f"cnlw_tools/{__version__}"


@dataclass(frozen=True, slots=True)
class Manners:
    """How to ask."""

    per_host: int = 4  # requests at a time; 0: as many as there are workers
    tries: int = 3  # of one URL
    robots: bool = True  # heed robots.txt
    opt_out: bool = True  # heed X-Robots-Tag
    private: bool = False  # private addresses, too
    agent: str = AGENT
    limits: Limits = field(default_factory=Limits)
    pixels: int = PIXELS
    archive: str = ""  # what goes before the URI of a dead link; empty: dead links stay dead
