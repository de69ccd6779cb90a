"""``cnlw fetch``: web images by URI into an image store."""

import gc
import json
import os
import shutil
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    ENGINE,
    ROOT,
    SHARD,
    LocalPath,
    PathOrAddress,
    find_root,
    key_option,
)
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from cnlw_tools.fetch import FetchOptions
    from cnlw_tools.store.outcomes import Tally
    from cnlw_tools.store.store import Ledger

    Fetcher = Callable[..., Tally]

BYTES_PER_URL = 64  # of a manifest; long URLs and other columns take more
BAR_WIDTH = 20  # characters
SHOWN_OUTCOMES = 5  # in the progress bar
SHOWN_REASONS = 3  # of failures
MAX_CHARACTERS = 160  # of a reason
SOURCES = {  # source of images that differ from what their URIs gave -> what a report says
    "archive": "from an archive",
    "img2dataset": "encoded again by img2dataset",
}
REFUSED = "refused (ledger.parquet has the reasons): --retry refused makes the requests again"
REFUSED_PRIVATE = (
    "refused (ledger.parquet has the reasons): for addresses on a private network or on this "
    "machine, give --allow-private --retry refused"
)
REDIRECTED = "redirected to sites of other shards: left for the last `cnlw fetch`, after --join"
PATH = LocalPath(path_type=Path)
COUNT = click.IntRange(1)
SECONDS = click.FloatRange(0.1)


@click.command()
@click.option("--dataset", help="Fetch the web candidates of this dataset.  [default: none]")
@click.option(
    "--manifest",
    type=PATH,
    help="Parquet file with the columns image_id and uri (the URL).  [default: that of --dataset]",
)
@click.option(
    "--store",
    type=PathOrAddress(path_type=Path),
    help="Folder of the image store, or the address of a pack, such as s3://bucket/web.  "
    "[default: stores/DATASET]",
)
@click.option(
    "--retry",
    metavar="OUTCOME",
    help="Request again the URLs with this outcome: failed (any), timeout, 404 ...  "
    "[default: none]",
)
@click.option(
    "--export-img2dataset",
    "export_to",
    type=PATH,
    help="Fetch nothing; write the store as webdataset shards, as img2dataset does.  "
    "[default: none]",
)
@click.option(
    "--import-img2dataset",
    "import_from",
    type=PATH,
    help="Fetch nothing; import the output of img2dataset into the store.  [default: none]",
)
@click.option(
    "--id-column",
    default="image_id",
    show_default=True,
    help="Column with the image ids in the output of img2dataset.",
)
@SHARD
@click.option(
    "--join",
    "joined_places",
    type=PathOrAddress(path_type=Path),
    multiple=True,
    help="Fetch nothing; add this store, or all stores in this folder; may be repeated.  "
    "[default: none]",
)
@ENGINE
@click.option(
    "--report",
    is_flag=True,
    help="Fetch nothing; print how many URLs in the store have each outcome.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
@click.option(
    "--keep",
    type=int,
    metavar="N",
    help="Keep each image as a build with --size N stores it.  [default: the originals]",
)
@key_option(Recipe, "resize")
@key_option(Recipe, "quality")
@click.option(
    "--requests",
    type=COUNT,
    metavar="N",
    default=64,
    show_default=True,
    help="Number of requests to make at once.",
)
@click.option(
    "--workers",
    type=COUNT,
    metavar="N",
    help="Number of worker processes.  [default: one for each processor, or fewer for few URLs]",
)
@click.option(
    "--per-host",
    type=click.IntRange(0),
    metavar="N",
    default=4,
    show_default=True,
    help="Number of requests to make to one host at once; 0 sets no limit.",
)
@click.option(
    "--tries",
    type=COUNT,
    metavar="N",
    default=3,
    show_default=True,
    help="Largest number of attempts for a URL whose failure may be temporary.",
)
@click.option(
    "--connect-timeout",
    type=SECONDS,
    metavar="SECONDS",
    default=5,
    show_default=True,
    help="Seconds to wait for a connection.",
)
@click.option(
    "--read-timeout",
    type=SECONDS,
    metavar="SECONDS",
    default=10,
    show_default=True,
    help="Seconds to wait for the next byte.",
)
@click.option(
    "--timeout",
    type=SECONDS,
    metavar="SECONDS",
    default=30,
    show_default=True,
    help="Seconds that one request may take in total.",
)
@click.option(
    "--max-bytes",
    type=COUNT,
    metavar="BYTES",
    default=32_000_000,
    show_default=True,
    help="Largest allowed size of an image in bytes.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=300,
    show_default=True,
    help="Seconds to wait for a fault of this machine (no network, full disk) to end.",
)
@click.option(
    "--contact",
    help="Your e-mail address or web page, which is added to the header User-Agent.  "
    "[default: none]",
)
@click.option(
    "--user-agent", help="Header User-Agent to send.  [default: cnlw_tools/VERSION (+CONTACT)]"
)
@click.option("--no-robots", is_flag=True, help="Ignore robots.txt.")
@click.option("--no-opt-out", is_flag=True, help="Ignore the header X-Robots-Tag.")
@click.option(
    "--wayback",
    is_flag=True,
    help="Look up dead links (dns, connect, 404, 410) in an archive.",
)
@click.option(
    "--archive",
    help="URL of the archive; the URL of the dead link is appended to it.  "
    "[default: that of the Internet Archive]",
)
@click.option(
    "--placeholders",
    type=PATH,
    help="CSV file (column sha256) of pictures that sites send instead of missing images.  "
    "[default: none]",
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Allow private, loopback and link-local addresses.",
)
@ROOT
def fetch(**flags: Any) -> None:
    """Fetch images by URL. URLs that already have an outcome are requested again only with --retry.

    By default, the original bytes are stored. With --keep N, each image is resized before it is
    stored, exactly as `cnlw build --size N` would resize it with the same --resize and --quality.

    --retry takes `failed` (any failure), or one of these outcomes: refused, robots, opt_out, dns,
    connect, tls, timeout, unreachable, redirect, http_404 (404 for short; other HTTP statuses work
    the same way), too_big, truncated, bomb, animated, not_image, decode. The page "The image store
    and its ledger" of the documentation explains these outcomes.

    With --shard 2/5, the command fetches from only the second of five groups of sites. Give each of
    the five commands its own --store, or give all five the address of the same pack in remote
    storage. If the commands wrote to five folders, combine these into one store with --join.
    Finally, run the command once more without --shard; it requests the URLs that were redirected to
    a site of another group. If --engine is not `local`, the workers of a cluster divide the sites
    among themselves.
    """
    _check_choices(flags)
    # numpy's threads for linear algebra have nothing to do here, but spin a moment in each process.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if flags["manifest"] and not any(_other_acts(flags).values()):
        _start_early(flags["manifest"], flags)

    from cnlw_tools.files.arrow import keep_pandas_out
    from cnlw_tools.ingest.web_places import find_manifest, find_store
    from cnlw_tools.store.outcomes import parse_outcome

    keep_pandas_out()
    if flags["dataset"]:
        _check_dataset(flags["dataset"], find_root(flags["root"]))
    store = find_store(flags["dataset"], flags["store"])
    retry = parse_outcome(flags["retry"]) if flags["retry"] else None
    if flags["report"]:
        _report(store, flags["as_json"])
    elif flags["export_to"]:
        _export(store, flags["export_to"])
    elif flags["joined_places"]:
        _join(flags["joined_places"], store, flags["as_json"])
    elif flags["import_from"]:
        _import(flags["import_from"], store, flags["id_column"], flags["as_json"])
    else:
        root = find_root(flags["root"])
        manifest = find_manifest(flags["dataset"], flags["manifest"], root)
        _fetch(manifest, store, retry, flags)


def _check_choices(flags: dict[str, Any]) -> None:
    """Raise if options are given together of which one would be ignored.

    Raises:
        ValueError: with both
    """
    from cnlw_tools.ingest.web_places import check_place, check_shard

    if flags["shard"] is not None and flags["joined_places"]:
        raise ValueError(
            f"--shard {flags['shard']} and --join cannot be used together: omit --shard"
        )
    check_shard(flags["shard"], flags["engine"])
    check_place(flags["store"] or "", flags["engine"])
    acts = _other_acts(flags)
    given = [option for option, value in acts.items() if value]
    given += [f"--{name}" for name in ("shard", "retry") if flags[name] is not None]
    given += ["--engine"] if flags["engine"] != "local" else []
    if len(given) > 1 and given[0] in acts:
        raise ValueError(
            f"{given[0]} cannot be used together with {given[1]}, because {given[0]} "
            f"fetches nothing: omit one of the two"
        )


def _other_acts(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the options with which the command fetches nothing, and their values."""
    return {
        "--report": flags["report"],
        "--export-img2dataset": flags["export_to"],
        "--join": flags["joined_places"],
        "--import-img2dataset": flags["import_from"],
    }


class ProgressBar:
    """A line of progress on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self.start_time = time.monotonic()
        self.visible = sys.stderr.isatty()

    def __call__(self, tally: "Tally") -> None:
        """Replace the line."""
        if not self.visible:
            return
        n_done = tally.counts.total() + tally.skipped
        seconds = time.monotonic() - self.start_time
        rate = tally.fetched / max(1e-9, seconds)
        n_blocks = BAR_WIDTH * n_done // max(1, tally.total)
        bar = "#" * n_blocks
        left = ""
        if rate:
            seconds_left = (tally.total - n_done) / rate
            left = f"{seconds_left:,.0f} s left"
        outcomes = []
        for outcome, n in tally.counts.most_common(SHOWN_OUTCOMES):
            if outcome != "ok":
                outcomes.append(f"{outcome} {n:,}")
        line = (
            f"[{bar:{BAR_WIDTH}}] {n_done:,} of {tally.total:,}  {rate:.0f}/s  {left}  "
            f"ok {tally.counts['ok']:,}  {', '.join(outcomes)}"
        )
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{line[:width]:{width}}", err=True, nl=n_done == tally.total)


def _check_dataset(name: str, root: Path) -> None:
    """Raise an error if there is no dataset of this name."""
    from cnlw_tools.dataset.dataset import require_dataset

    require_dataset(name, root)


def _fetch(
    manifest_path: Path, store: Path | str, retry: str | None, flags: dict[str, Any]
) -> None:
    """Fetch the URLs of a manifest, and print the outcomes."""
    _start_early(manifest_path, flags)

    from cnlw_tools.fetch.resources import return_freed_memory
    from cnlw_tools.ingest.web_images import open_fetcher
    from cnlw_tools.store.exclusions import MIN_IDS
    from cnlw_tools.store.manifest import Manifest
    from cnlw_tools.store.placeholders import count_placeholders
    from cnlw_tools.store.writer import open_writer

    options, n_requests = _read_options(flags), flags["requests"]
    manifest = Manifest(manifest_path)
    # The garbage collector need not look at what was imported: this saves a twentieth of the time.
    gc.freeze()
    return_freed_memory()
    with (
        open_fetcher(store, len(manifest), n_requests, flags["engine"], flags["workers"]) as run,
        open_writer(store, purpose=flags["shard"] or "") as writer,
    ):
        _note_choices(writer.ledger, flags)
        show = writer.watch(ProgressBar(), _show_notice)
        tally = run(
            manifest, writer.ledger, options, retry=retry, progress=show, notify=_show_notice
        )
        writer.finish()
        n_placeholders = count_placeholders(writer.contents(), MIN_IDS)
        reasons = writer.contents().common_reasons(SHOWN_REASONS)
    if retry and not tally.fetched:
        click.echo(f"no URL of the manifest has the outcome {retry}: nothing to retry", err=True)
    _note(tally.of_other_shards, "row", "of sites of other shards")
    _note(tally.redirected, "row", REDIRECTED)
    n_skipped = tally.skipped - tally.of_other_shards - tally.redirected
    _note(n_skipped, "row", "not requested so far: run without --retry to fetch all")
    _note(n_placeholders, "image", "with the file of a placeholder: builds do not use any")
    if retry != "refused":
        text = REFUSED if options.allow_private else REFUSED_PRIVATE
        _note(tally.counts["refused"], "URL", text)
    _print_counts(tally.counts, flags["as_json"], store)
    if tally.counts.total() > tally.counts["ok"]:
        _print_reasons(reasons)
    if not tally.stop_signal and flags["shard"] is None and not flags["as_json"]:
        _print_next(tally.counts, store, flags)
    if tally.stop_signal:
        click.echo("stopped: run the same command again to continue", err=True)
        raise SystemExit(128 + tally.stop_signal)


def _start_early(manifest_path: Path, flags: dict[str, Any]) -> None:
    """Let processes that will fetch import what they need while this one does the same.

    How many URLs there are is not known yet, so the size of the file decides.
    """
    if flags["engine"] != "local" or not manifest_path.is_file():
        return
    n_urls = manifest_path.stat().st_size // BYTES_PER_URL
    from cnlw_tools.ingest.web_places import choose_n_processes

    if choose_n_processes(n_urls, flags["requests"], flags["workers"]) > 1:
        from cnlw_tools.executor.fork_server import FETCH_MODULES, start_fork_server

        start_fork_server(FETCH_MODULES)


def _note_choices(ledger: "Ledger", flags: dict[str, Any]) -> None:
    """Note in a store for which shard it is, and which pictures are placeholders."""
    from cnlw_tools.executor.work_shard import WHOLE, parse_work_shard
    from cnlw_tools.store.join import mark_shard

    shard = flags["shard"]
    mark_shard(ledger.place, WHOLE if shard is None else parse_work_shard(shard))
    if flags["placeholders"]:
        from cnlw_tools.store.placeholders import add_placeholders

        add_placeholders(flags["placeholders"], ledger.folder)


def _print_next(counts: "Counter[str]", store: Path | str, flags: dict[str, Any]) -> None:
    """Print the command that comes next, if a dataset was fetched."""
    from cnlw_tools.cli.next_step import fetch_again, find_project, print_next

    if not flags["dataset"]:
        return
    project = find_project(flags["dataset"], flags["root"], store=store)
    lines = fetch_again(project, counts, flags["allow_private"])
    print_next(*(lines or [project.command("votes", "annotate")]))


def _read_options(flags: dict[str, Any]) -> "FetchOptions":
    """Return how to fetch."""
    from cnlw_tools.executor.work_shard import parse_work_shard
    from cnlw_tools.fetch.choices import FetchChoices, to_options

    shard = flags["shard"]
    choices = FetchChoices(**{field.name: flags[field.name] for field in fields(FetchChoices)})
    return to_options(choices, parse_work_shard(shard) if shard is not None else None)


def _report(place: Path | str, as_json: bool) -> None:
    """Print what a store holds, and which of its images are not what their URIs gave."""
    from cnlw_tools.store.pack import open_store

    with open_store(place) as store:
        _print_counts(store.count_outcomes(), as_json, place)
        _print_reasons(store.common_reasons(SHOWN_REASONS))
        for source, n_images in store.count_foreign_sources().items():
            _note(n_images, "image", SOURCES[source])


def _export(place: Path | str, folder: Path) -> None:
    """Write a store as img2dataset would."""
    from cnlw_tools.store.img2dataset import export_store
    from cnlw_tools.store.pack import open_store

    with open_store(place) as store:
        counts = export_store(store, folder)
    n_urls = count_things(counts.total(), "URL")
    click.echo(f"{folder}: images of {counts['success']:,} of {n_urls}")


def _import(folder: Path, store: Path | str, id_column: str, as_json: bool) -> None:
    """Import the output of img2dataset into a store."""
    from cnlw_tools.store.img2dataset import import_images
    from cnlw_tools.store.writer import open_writer

    with open_writer(store) as writer:
        show = writer.watch(ProgressBar(), _show_notice)
        tally = import_images(folder, writer.ledger, id_column, show)
        writer.finish()
    _note(tally.skipped, "row", "of the input without an image: skipped")
    _print_counts(tally.counts, as_json, store)


def _join(places: "Sequence[Path | str]", store: Path | str, as_json: bool) -> None:
    """Take what other stores hold into a store."""
    from cnlw_tools.store.join import check_stores, find_stores, join_stores
    from cnlw_tools.store.writer import open_writer

    others = find_stores(places, store)
    check_stores(others)  # before a new store is made
    with open_writer(store) as writer:
        show = writer.watch(ProgressBar(), _show_notice)
        tally = join_stores(others, writer.ledger, show)
        writer.finish()
        counts = writer.contents().count_outcomes()
    text = f"taken from {count_things(len(others), 'store')}"
    _note(tally.fetched, "row", text)
    _note(tally.skipped, "image", "damaged there: left for the last `cnlw fetch`")
    _print_counts(counts, as_json, store)


def _print_counts(counts: "Counter[str]", as_json: bool, store: Path | str) -> None:
    """Print how many images there are, and how many URLs have each other outcome."""
    errors = {outcome: n for outcome, n in counts.most_common() if outcome != "ok"}
    if as_json:
        click.echo(json.dumps({"ok": counts["ok"], "errors": errors}))
        return
    total = counts.total()
    for outcome, n in (("ok", counts["ok"]), *errors.items()):
        percent = 100 * n / max(1, total)
        click.echo(f"{outcome:12} {n:>10,}  {percent:6.2f} %")
    click.echo(f"{count_things(total, 'URL')}; images in {store}")


def _print_reasons(reasons: "Sequence[tuple[str, str, int]]") -> None:
    """Print on standard error why most of the URLs without an image have none."""
    if reasons:
        click.echo("the most common reasons in the store:", err=True)
    for outcome, reason, n_urls in reasons:
        click.echo(f"  {outcome} {n_urls:,}: {reason[:MAX_CHARACTERS]}", err=True)


def _show_notice(text: str) -> None:
    """Print a line on standard error, below the progress bar if there is one."""
    if sys.stderr.isatty():
        click.echo(err=True)
    click.echo(text, err=True)


def _note(n: int, noun: str, text: str) -> None:
    """Print a note on standard error about a number of things, unless there are none."""
    if n:
        click.echo(f"{count_things(n, noun)} {text}", err=True)
