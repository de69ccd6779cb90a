"""Dead links in an archive: the capture closest to a time, its bytes as they were.

The Wayback Machine of the Internet Archive answers `/web/TIMEid_/URI` with the capture closest to TIME, without a frame
of its own (`id_`), or redirects to it. So the archive is one more host: its robots.txt, its limits and all checks hold.
Asked for is only what is dead; a site that says no (403, robots.txt, X-Robots-Tag) is not asked for behind its back.
"""

from cnlw_tools.fetch.address import Address, parse
from cnlw_tools.fetch.schedule import Host, Job
from cnlw_tools.store.outcomes import Failed

ARCHIVE = "https://web.archive.org/web/2020id_/"  # the year of the release: later ones may show placeholders
DEAD = frozenset({"dns", "connect", "http_404", "http_410"})


def capture(archive: str, job: Job, host: Host, failed: Failed) -> Address | None:
    """Return where an archive has the image of a dead link; none if it is not dead, or the archive was asked."""
    gone = host.why_kind if failed.kind == "unreachable" else failed.kind
    if not archive or job.dead or gone not in DEAD:
        return None
    try:
        return parse(archive + str(parse(job.uri)))
    except Failed:  # the two together are too long
        return None


def twice(dead: Failed, failed: Failed) -> Failed:
    """Return the failure of a link that is dead, and not in the archive either: its class stays."""
    return Failed(dead.kind, f"{dead.reason}; in the archive: {failed.kind}, {failed.reason}")
