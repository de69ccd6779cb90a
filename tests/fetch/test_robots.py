"""What sites want: robots.txt by RFC 9309, and X-Robots-Tag."""

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
    """The group that names us counts, the longest pattern wins, a tie allows."""
    assert (target in ALLOWED) == robots.read(FILE).allow(target)


def test_groups():
    """Without a group of ours that of all counts; groups of one name are one; without either all is allowed."""
    several = (
        "User-agent: *\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: *\nDisallow: /b"
    )

    assert [False, False, True] == [
        robots.read(several).allow(target) for target in ("/a", "/b", "/c")
    ]
    assert robots.read("User-agent: x\nDisallow: /").allow("/")
    assert robots.read("Disallow: /").allow("/")
    assert robots.read("User-agent: *\nDisallow:").allow("/")
    assert robots.read("<html>not found</html>").allow("/")
    assert not robots.NOTHING.allow("/a?b")


def test_delay():
    """Seconds between two requests, within reason."""
    delays = [
        robots.read(f"User-agent: *\nCrawl-delay: {said}").delay
        for said in ("", "2.5", "x", "-1", "86400", "nan")
    ]

    assert [0, 2.5, 0, 0, 60, 0] == delays
    assert 2.5 == robots.read(FILE).delay


def test_no_pattern_takes_long():
    """A hostile pattern costs no more than its length."""
    rules = robots.read("User-agent: *\nDisallow: /" + "a*" * 2000 + "b$")
    begun = time.monotonic()

    assert rules.allow("/" + "a" * 8000)
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("headers", "no"),
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
def test_header(headers, no):
    """Directives of several headers, for all or for one agent."""
    assert no == robots.opts_out(headers)


def test_robots_are_asked_once(server, fetched):
    """A site is asked for its rules before its first image, and once."""
    server.robots = 200, "User-agent: cnlw_tools\nDisallow: /ok/1"

    rows = fetched({str(i): f"{server.url}/ok/{i}" for i in range(12)})

    assert {"1": "robots", "10": "robots", "11": "robots"} == {
        k: r.kind for k, r in rows.items() if r.kind != "ok"
    }
    assert 1 == server.seen["/robots.txt"]
    assert 9 == server.images().total()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, "ok"), (403, "ok"), (500, "robots"), (429, "robots")]
)
def test_robots_that_cannot_be_read(server, fetched, status, kind):
    """None is a yes; a server that cannot say at the moment is a no, for all its URLs."""
    server.robots = status, ""

    rows = fetched({str(i): f"{server.url}/ok/{i}" for i in range(6)}, tries=2)

    assert {kind} == {row.kind for row in rows.values()}
    assert server.seen["/robots.txt"] == (1 if kind == "ok" else 2)


def test_crawl_delay(server, fetched):
    """Requests to a site that asks for time lie as far apart."""
    server.robots = 200, "User-agent: *\nCrawl-delay: 0.3"
    begun = time.monotonic()

    fetched({str(i): f"{server.url}/ok/{i}" for i in range(3)})

    assert time.monotonic() - begun >= 0.6


def test_switched_off(server, fetched):
    """Both can be passed over, if one says so."""
    server.robots = 200, "User-agent: *\nDisallow: /"

    rows = fetched({"a": f"{server.url}/tag/noai"}, robots=False, opt_out=False)

    assert "ok" == rows["a"].kind
    assert 0 == server.seen["/robots.txt"]
