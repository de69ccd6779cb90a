"""A small world in which pages and notebooks are followed: small data, one process, no web."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cnlw_tools import checks, fetch, files
from cnlw_tools.executor import SERIAL, Executor, local
from cnlw_tools.fetch import address
from cnlw_tools.methods.components import mentor_fit
from cnlw_tools.recipe import adapt
from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.sources.shapes.others import ShapesOthers
from tests.docs.page_folders import lay_out_root, lay_out_whole_root, paint, write_site


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web site with the pictures of the pages."""
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def this_process(workers: int, modules: Sequence[str] = (), retries: int = 0) -> Iterator[Executor]:
    """Stand for worker processes."""
    yield SERIAL


@pytest.fixture(scope="module")
def small_world(tmp_path_factory, tiny, site) -> Iterator[Path]:
    """Replace what is slow or far; yield a root with all images of `shapes`."""
    import datasets

    folder = tmp_path_factory.mktemp("package")
    root = lay_out_root(folder / "root", tiny)
    whole_root = lay_out_whole_root(folder / "whole")
    quick_checks = [check for check in checks.CHECKS if check.name != "roundtrip"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "default_root", lambda: root)
        patch.setattr(files.roots, "default_root", lambda: root)
        for source in (Shapes, ShapesOthers):
            patch.setattr(source, "read", lambda _, image_id: paint(image_id))
        patch.setattr(adapt, "MAX_EPOCHS", 2)
        few_steps = partial(mentor_fit.fit_mentor, steps=30)
        patch.setattr(mentor_fit, "fit_mentor", few_steps)
        patch.setattr(local, "isolated", this_process)
        patch.setattr(checks, "CHECKS", tuple(quick_checks))  # roundtrip starts an interpreter
        patch.setattr(address, "is_public", lambda ip: True)
        patch.setattr(fetch, "WAYBACK_URL", f"{site}/archive/")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets")
        patch.setenv("CNLW_CACHE", str(folder / "pixels"))
        yield whole_root


@pytest.fixture
def all_images(small_world, monkeypatch) -> None:
    """Put all images of `shapes` in place of the few."""
    monkeypatch.setattr(files, "default_root", lambda: small_world)
    monkeypatch.setattr(files.roots, "default_root", lambda: small_world)


@pytest.fixture
def reader(small_world, tmp_path, monkeypatch) -> Path:
    """The empty folder of a reader."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
