"""What sites allow: robots.txt (RFC 9309) and X-Robots-Tag."""

import time

import pytest

from cnlw_tools.fetch import robots

FILE = """
\ufeff# the whole world
User-agent: *
Disallow: /

user-agent: OtherBot
User-Agent: cnlw_tools/9.9
Disallow: /private   # a comment
Allow: /private/open
Disallow: /*.gif$
Disallow: /a*b*c
Allow: /tie
Disallow: /tie
Disallow: /caf%C3%A9
Crawl-delay: 2.5
Sitemap: /x
"""
ALLOWED = ["/", "/x", "/private/open/1", "/a.gif?x", "/abd", "/tie", "/Private"]
DENIED = ["/private", "/private/1", "/privateer", "/b/a.gif", "/a/1b/2c/3", "/café", "/caf%c3%a9/1"]


@pytest.mark.parametrize("target", ALLOWED + DENIED)
def test_rules(target):
    """The group that names us applies, the longest pattern wins, and a tie allows."""
    assert (target in ALLOWED) == robots.parse_robots(FILE).allows(target)


def test_groups():
    """Without our group that of all applies; groups of one name are joined; the default is yes."""
    text = (
        "User-agent: *\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: *\nDisallow: /b"
    )

    rules = robots.parse_robots(text)
    assert [False, False, True] == [rules.allows(target) for target in ("/a", "/b", "/c")]
    assert robots.parse_robots("User-agent: x\nDisallow: /").allows("/")
    assert robots.parse_robots("Disallow: /").allows("/")
    assert robots.parse_robots("User-agent: *\nDisallow:").allows("/")
    assert robots.parse_robots("<html>not found</html>").allows("/")
    assert not robots.ALLOW_NOTHING.allows("/a?b")


def test_delay():
    """A delay is a number of seconds, at most a minute; anything else is ignored."""
    delays = [
        robots.parse_robots(f"User-agent: *\nCrawl-delay: {value}").delay
        for value in ("", "2.5", "x", "-1", "86400", "nan")
    ]

    assert [0, 2.5, 0, 0, 60, 0] == delays
    assert 2.5 == robots.parse_robots(FILE).delay


def test_no_pattern_takes_long():
    """Matching a hostile pattern takes no longer than its length allows."""
    rules = robots.parse_robots("User-agent: *\nDisallow: /" + "a*" * 2000 + "b$")
    start = time.monotonic()

    assert rules.allows("/" + "a" * 8000)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    ("headers", "directive"),
    [
        ([], None),
        (["all"], None),
        (["NoAI"], "noai"),
        (["nofollow, noimageai"], "noimageai"),
        (["nofollow", "noindex"], "noindex"),
        (["none"], "none"),
        (["cnlw_tools: noimageindex"], "noimageindex"),
        (["otherbot: noai, noindex"], None),
        (["otherbot: noai, cnlw_tools: noindex"], "noindex"),
        (["otherbot: noai", "noindex"], "noindex"),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], "noai"),
        (["max-snippet: 3"], None),
    ],
)
def test_opt_out(headers, directive):
    """Directives may be in several headers, and for all agents or for one."""
    assert directive == robots.find_opt_out(headers)


def test_robots_are_requested_once(server, fetch_rows):
    """The rules of a site are requested once, before its first image."""
    server.robots = 200, "User-agent: cnlw_tools\nDisallow: /ok/1"

    rows = fetch_rows({str(i): f"{server.url}/ok/{i}" for i in range(12)})

    failures = {image_id: row.outcome for image_id, row in rows.items() if row.outcome != "ok"}
    assert {"1": "robots", "10": "robots", "11": "robots"} == failures
    assert 1 == server.requests["/robots.txt"]
    assert 9 == server.images().total()


@pytest.mark.parametrize(
    ("status", "outcome"), [(404, "ok"), (403, "ok"), (500, "robots"), (429, "robots")]
)
def test_robots_that_cannot_be_read(server, fetch_rows, status, outcome):
    """No robots.txt allows everything; a server that cannot answer now forbids everything."""
    server.robots = status, ""

    rows = fetch_rows({str(i): f"{server.url}/ok/{i}" for i in range(6)}, max_tries=2)

    assert {outcome} == {row.outcome for row in rows.values()}
    assert server.requests["/robots.txt"] == (1 if outcome == "ok" else 2)


def test_crawl_delay(server, fetch_rows):
    """Requests to a site are as far apart as its crawl delay says."""
    server.robots = 200, "User-agent: *\nCrawl-delay: 0.3"
    start = time.monotonic()

    fetch_rows({str(i): f"{server.url}/ok/{i}" for i in range(3)})

    assert time.monotonic() - start >= 0.6


def test_switched_off(server, fetch_rows):
    """Both checks can be switched off."""
    server.robots = 200, "User-agent: *\nDisallow: /"

    rows = fetch_rows({"a": f"{server.url}/tag/noai"}, obey_robots=False, obey_opt_out=False)

    assert "ok" == rows["a"].outcome
    assert 0 == server.requests["/robots.txt"]
