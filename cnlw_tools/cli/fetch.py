"""``cnlw fetch``: web images by URI into an image store."""

import gc
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import ROOT, folder

if TYPE_CHECKING:
    from collections import Counter

    from cnlw_tools.fetch import Manners
    from cnlw_tools.store.outcomes import Tally
    from cnlw_tools.store.store import Store

STORES = Path("stores")
BAR = 20  # characters
URLS, EACH = 1_000, 8  # URLs and workers for which one more process is worth its start
NEW = click.Path(path_type=Path)

WITHOUT = ("report", "export_to", "import_from")  # flags that need no manifest


@click.command()
@click.option("--dataset", help="Fetch the web candidates of a dataset.")
@click.option(
    "--manifest", type=click.Path(path_type=Path), help="Parquet file with image_id and uri."
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder of the images.  [default: stores/DATASET]",
)
@click.option(
    "--retry",
    metavar="CLASS",
    help="Ask again for these and nothing else: failed (all), timeout, 404 ...",
)
@click.option(
    "--export-img2dataset",
    "export_to",
    type=NEW,
    help="Write the store as its webdataset; fetch nothing.",
)
@click.option(
    "--import-img2dataset", "import_from", type=NEW, help="Take in what it wrote; fetch nothing."
)
@click.option(
    "--id-column", default="image_id", show_default=True, help="Of the ids, in what it wrote."
)
@click.option("--report", is_flag=True, help="Say what the store holds, and fetch nothing.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
@click.option(
    "--workers", type=click.IntRange(1), default=64, show_default=True, help="Requests at a time."
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="To share the sites.  [default: one a core, for many URLs]",
)
@click.option(
    "--per-host",
    type=click.IntRange(0),
    default=4,
    show_default=True,
    help="Of one host; 0: no limit.",
)
@click.option(
    "--tries",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Of one URL, where it may help.",
)
@click.option(
    "--connect-timeout", type=click.FloatRange(0.1), default=5, show_default=True, help="Seconds."
)
@click.option(
    "--read-timeout",
    type=click.FloatRange(0.1),
    default=10,
    show_default=True,
    help="Seconds of silence.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=30,
    show_default=True,
    help="Seconds of one request.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=32_000_000,
    show_default=True,
    help="Of an image.",
)
@click.option(
    "--contact",
    help="Address or page of yours, for the User-Agent: who asks openly is let in more often.",
)
@click.option("--user-agent", help="Instead of cnlw_tools/VERSION (+CONTACT).")
@click.option("--no-robots", is_flag=True, help="Do not ask for robots.txt.")
@click.option("--no-opt-out", is_flag=True, help="Do not heed X-Robots-Tag.")
@click.option(
    "--wayback", is_flag=True, help="Ask an archive for dead links (dns, connect, 404, 410)."
)
@click.option("--archive", help="Instead of the Internet Archive: what goes before a URI.")
@click.option(
    "--placeholders",
    type=NEW,
    help="A csv with a column sha256: pictures that mean that an image is gone.",
)
@click.option(
    "--allow-private", is_flag=True, help="Also private, loopback and link-local addresses."
)
@ROOT
def fetch(**flags: Any) -> None:
    """Fetch images by URI; what has reached a final state is not asked for again, dead links included.

    Images are kept as they came. Classes of failures, for --retry: refused, robots, opt_out, dns, connect, tls,
    timeout, unreachable, redirect, http_404 (any status), too_big, truncated, bomb, animated, not_image, decode.
    """
    from cnlw_tools.executor.local import cores
    from cnlw_tools.fetch import fetch as run
    from cnlw_tools.store import placeholders
    from cnlw_tools.store.exclusions import SHARED
    from cnlw_tools.store.manifest import Manifest
    from cnlw_tools.store.outcomes import chosen
    from cnlw_tools.store.store import Store, open_ledger

    store, manifest = _where(flags)
    retry = chosen(flags["retry"]) if flags["retry"] else None
    if flags["report"]:
        with Store(store) as held:
            _say(held.counts(), flags["as_json"], store)
            return _sources(held)
    if flags["export_to"] or flags["import_from"]:
        from cnlw_tools.store import img2dataset
    if flags["export_to"]:
        with Store(store) as held:
            said = img2dataset.export(held, flags["export_to"])
        return click.echo(f"{said['success']:,} of {said.total():,} images in {flags['export_to']}")
    if flags["import_from"]:
        with open_ledger(store) as ledger:
            taken = img2dataset.adopt(flags["import_from"], ledger, flags["id_column"], Progress())
        _note(f"{taken.waiting:,} rows are no success there, and were left out", taken.waiting)
        return _say(taken.counts, flags["as_json"], store)
    manners = _manners(flags)
    urls = Manifest(manifest)
    processes = flags["processes"] or min(
        cores(), 1 + len(urls) // URLS, 1 + flags["workers"] // EACH
    )
    gc.freeze()  # what was imported stays, and a collection need not look at it: a twentieth of the time
    with open_ledger(store) as ledger:
        if flags["placeholders"]:
            placeholders.note(flags["placeholders"], store)
        tally = run(urls, ledger, manners, flags["workers"], retry, Progress(), processes)
        _note(f"{tally.waiting:,} rows were never asked for: run without --retry", tally.waiting)
        gone = placeholders.count(ledger, SHARED)
        _note(f"{gone:,} images are placeholders, by their files: no build uses them", gone)
    _say(tally.counts, flags["as_json"], store)
    if tally.stopped:
        click.echo("stopped: the same command goes on from here", err=True)
        raise SystemExit(128 + tally.stopped)
    return None


class Progress:
    """A bar on standard error, if that is a terminal: how much, how fast, how long yet, what went wrong."""

    def __init__(self) -> None:
        self.begun, self.shows = time.monotonic(), sys.stderr.isatty()

    def __call__(self, tally: "Tally") -> None:
        """Write the line anew."""
        if not self.shows:
            return
        done = tally.counts.total() + tally.waiting
        rate = tally.fetched / max(1e-9, time.monotonic() - self.begun)
        left = f"{(tally.total - done) / rate:,.0f} s left" if rate else ""
        wrong = ", ".join(
            f"{kind} {n:,}" for kind, n in tally.counts.most_common(5) if kind != "ok"
        )
        bar = "#" * (BAR * done // max(1, tally.total))
        line = f"[{bar:{BAR}}] {done:,} of {tally.total:,}  {rate:.0f}/s  {left}  ok {tally.counts['ok']:,}  {wrong}"
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{line[:width]:{width}}", err=True, nl=done == tally.total)


def _where(flags: dict[str, Any]) -> tuple[Path, Path]:
    """Return the store and the manifest."""
    from cnlw_tools import files

    name, manifest, store = flags["dataset"], flags["manifest"], flags["store"]
    if name:
        from cnlw_tools.dataset import dataset
        from cnlw_tools.registry import pick

        root = folder(flags["root"])
        pick(dict.fromkeys(dataset.list_datasets(root)), name, "dataset")
        manifest, store = (
            manifest or root / "manifests" / name / "web.parquet",
            store or STORES / name,
        )
    if store is None or (manifest is None and not any(flags[name] for name in WITHOUT)):
        raise ValueError(
            "nothing to fetch: give --dataset D, or --manifest FILE.parquet and --store DIR"
        )
    return store, manifest or files.default_root()


def _manners(flags: dict[str, Any]) -> "Manners":
    from cnlw_tools.fetch import AGENT, ARCHIVE, Limits, Manners

    agent = flags["user_agent"] or AGENT + (f" (+{flags['contact']})" if flags["contact"] else "")
    if not (agent.isascii() and agent.isprintable()):
        raise ValueError(
            f"{agent!r}: a User-Agent is one line of ASCII: change --contact or --user-agent"
        )
    limits = Limits(
        flags["connect_timeout"], flags["read_timeout"], flags["timeout"], flags["max_bytes"]
    )
    return Manners(
        flags["per_host"],
        flags["tries"],
        not flags["no_robots"],
        not flags["no_opt_out"],
        flags["allow_private"],
        agent,
        limits,
        archive=(flags["archive"] or ARCHIVE) if flags["wayback"] else "",
    )


def _say(counts: "Counter[str]", as_json: bool, store: Path) -> None:
    """Print how many images there are, and how many URLs of each class gave none."""
    errors = {kind: n for kind, n in counts.most_common() if kind != "ok"}
    if as_json:
        click.echo(json.dumps({"ok": counts["ok"], "errors": errors}))
        return
    for kind, n in (("ok", counts["ok"]), *errors.items()):
        click.echo(f"{kind:12} {n:>10,}  {100 * n / max(1, counts.total()):6.2f} %")
    click.echo(f"{counts.total():,} URLs; images in {store}")


def _sources(store: "Store") -> None:
    """Say which images are not what their URIs gave."""
    ask = "SELECT source, count(*) FROM ledger WHERE class = 'ok' AND source != 'uri' GROUP BY 1 ORDER BY 1"
    words = {"archive": "are from an archive", "img2dataset": "were encoded again by img2dataset"}
    for source, n in store.query(ask):
        _note(f"{n:,} of the images {words[source]}", n)


def _note(text: str, when: int) -> None:
    if when:
        click.echo(text, err=True)
