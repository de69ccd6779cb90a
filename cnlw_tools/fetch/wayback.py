"""Fetch the images of dead links from a web archive: the original bytes, captured near a date.

The Wayback Machine of the Internet Archive answers `/web/DATEid_/URI` with the capture closest to
DATE, or with a redirect to it; `id_` asks for the bytes without the archive's own page around them.
The archive is treated like any other host: its robots.txt, its limits and all checks apply. It is
asked only for dead links. If a host forbids a request (403, robots.txt, X-Robots-Tag), the archive
is not used to evade that.
"""

from cnlw_tools.fetch.address import Address, parse_uri
from cnlw_tools.fetch.schedule import FetchJob, Host
from cnlw_tools.store.outcomes import FetchError

# The year in which the benchmark was released: later captures may show placeholders.
WAYBACK_URL = "https://web.archive.org/web/2020id_/"
DEAD_LINK_OUTCOMES = frozenset({"dns", "connect", "http_404", "http_410"})


def archive_address(archive: str, job: FetchJob, host: Host, error: FetchError) -> Address | None:
    """Return the address at which an archive may have the image of a dead link.

    Returns None if no archive is to be used, if the link is not dead, or if the archive itself
    failed.

    Args:
        archive: the URL to put before the URI; without one, no archive is used
        job: the job that failed
        host: the host of the job
        error: the failure of the job
    """
    outcome = host.last_outcome if error.outcome == "unreachable" else error.outcome
    if not archive or job.dead_link or outcome not in DEAD_LINK_OUTCOMES:
        return None
    uri = str(parse_uri(job.uri))
    try:
        return parse_uri(archive + uri)
    except FetchError:  # the two URLs together are too long
        return None


def archive_failure(dead_link: FetchError, error: FetchError) -> FetchError:
    """Return the failure of a dead link that the archive does not have, with the link's outcome."""
    reason = f"{dead_link.reason}; in the archive: {error.outcome}, {error.reason}"
    return FetchError(dead_link.outcome, reason)
