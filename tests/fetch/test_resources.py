"""A fetch takes as many files and threads as this machine gives, and says so if they are few."""

import os
import resource
import subprocess
import sys
import threading

import pytest

from cnlw_tools.executor import local
from cnlw_tools.fetch import FetchOptions, fetch, remote_worker, resources
from cnlw_tools.fetch.address import parse_uri, resolve_host
from cnlw_tools.fetch.resources import start_threads
from cnlw_tools.files import default_root
from cnlw_tools.files.machine_faults import ALLOW_THREADS, SPARE_THREADS, MachineFault
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import Store, open_ledger


@pytest.fixture
def run(tmp_path, write_manifest):
    """Fetch URIs; return the counts and what the user was told."""

    def run_fetch(uris, n_requests=20, n_processes=1, **choices):
        notices = []
        options = FetchOptions(allow_private=True, per_host=0, obey_robots=False, **choices)
        with open_ledger(tmp_path / "store") as ledger:
            manifest = Manifest(write_manifest(uris))
            tally = fetch(
                manifest,
                ledger,
                options,
                n_requests,
                n_processes=n_processes,
                notify=notices.append,
            )
        return tally.counts, notices

    return run_fetch


@pytest.fixture
def allow_threads(monkeypatch):
    """Let only n threads of the package run at once, as a limit of processes does."""
    start = threading.Thread.start

    def limit(n):
        allowed = threading.Semaphore(n)

        def limited_start(thread):
            if not allowed.acquire(blocking=False):
                raise RuntimeError("can't start new thread")
            run = thread.run

            def run_and_release():
                try:
                    run()
                finally:
                    allowed.release()

            thread.run = run_and_release
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited_start)

    return limit


def make_uris(server, n=30):
    return {str(i): f"{server.url}/ok/{i}" for i in range(n)}


@pytest.mark.parametrize(("limit", "n"), [(256, 69), (64, 5), (10, 1)])
def test_open_files_limit_the_requests(monkeypatch, limit, n):
    """Three files for each request, and 48 for the rest of the process."""
    monkeypatch.setattr(resources.resource, "getrlimit", lambda kind: (limit, limit))

    assert n == resources.max_requests()


def test_no_limit_of_open_files_limits_nothing(monkeypatch):
    """Where any number of files may be open, any number of requests may be made."""
    monkeypatch.setattr(resources.resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, -1))

    assert 10**6 < resources.max_requests()


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_more_requests_than_files_may_be_open(server, write_manifest, tmp_path, n_workers):
    """With `ulimit -n 256` and 300 requests every image arrives, after one line that says so."""
    path = write_manifest(make_uris(server, 400))

    done = run_command("", 256, path, tmp_path, "--requests", 300, "--workers", n_workers)

    assert '{"ok": 400, "errors": {}}\n' == done.stdout
    assert f"{69 * n_workers} requests at once, not 300: " in done.stderr
    assert "paused" not in done.stderr


@pytest.mark.slow
def test_too_many_open_files_are_survived(server, write_manifest, tmp_path):
    """A process that meets its limit all the same waits, and then fetches every image."""
    path = write_manifest(make_uris(server, 400))
    blind = "from cnlw_tools.fetch import run; run.max_requests = lambda: 10**6"

    done = run_command(blind, 20, path, tmp_path, "--requests", 100, "--workers", 1)

    assert '{"ok": 400, "errors": {}}\n' == done.stdout
    assert "ulimit -n" in done.stderr


def run_command(preparation, max_files, manifest, folder, *arguments):
    """Run `cnlw fetch` in a process that may open a number of files, after a preparation."""
    options = ["--allow-private", "--no-robots", "--per-host", "0", "--json", "--patience", "30"]
    code = f"import sys, cnlw_tools.cli; {preparation}\ncnlw_tools.cli.main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "fetch", "--manifest", manifest, *options]
    return subprocess.run(
        [*map(str, command), "--store", str(folder / "s"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(default_root())},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files)),
        capture_output=True,
        text=True,
    )


def test_fewer_threads_than_asked_for(server, run, monkeypatch):
    """A run goes on with the threads that could be started, and says how many requests it makes."""

    def start_few(threads, n_needed):
        return start_threads(threads[: n_needed + 2], n_needed)

    monkeypatch.setattr("cnlw_tools.fetch.worker.start_threads", start_few)

    counts, notices = run(make_uris(server))

    assert {"ok": 30} == counts
    assert ["3 requests at once, not 20: this machine allows no more threads; "] == [
        notice[:65] for notice in notices
    ]


def test_some_threads_are_left_for_others(allow_threads):
    """Of 20 threads that are allowed, eight remain when as many as possible were started."""
    end = threading.Event()
    allow_threads(20)

    running = start_threads([threading.Thread(target=end.wait) for _ in range(40)], 1)

    assert 20 - SPARE_THREADS == len(running)
    end.set()
    for thread in running:
        thread.join()


def test_no_thread_at_all_is_one_line(server, run, allow_threads, tmp_path):
    """Where no thread can be started the run ends with an error that says what to do."""
    allow_threads(0)

    with pytest.raises(MachineFault, match=r"no further process or thread .*`ulimit -u`"):
        run(make_uris(server))
    with Store(tmp_path / "store") as store:
        assert not store.count_outcomes()


def test_a_lookup_without_a_thread_of_its_own(monkeypatch):
    """Where there is no thread for a lookup, the thread that needs the address looks it up."""

    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)

    assert ["127.0.0.1"] == resolve_host(parse_uri("http://127.0.0.1/"), allow_private=True)


def test_no_process_but_this_one(server, run, monkeypatch):
    """Where no process can be started, this one does the work of all of them, and says so."""

    def fail(*_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(remote_worker.RemoteWorker, "__init__", fail)

    counts, notices = run(make_uris(server), n_processes=2)

    assert {"ok": 30} == counts
    assert [notice[:27] for notice in notices] == ["one process, not 2: no other"[:27]]


def test_a_process_without_threads_ends_in_one_line(monkeypatch, tmp_path):
    """A worker process that may not start a thread sends an error, and prints no traceback."""
    sent = []

    class Pipe:
        def send(self, messages):
            sent.extend(messages)

    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    monkeypatch.setattr(local.signal, "signal", lambda *_: None)  # Ctrl-C still ends the tests

    remote_worker._run_worker(Pipe(), tmp_path, FetchOptions(), 1, None, None)

    reason = "no further process or thread can be started (can't start new thread)"
    assert [f"{reason}: {ALLOW_THREADS}"] == list(map(str, sent))
