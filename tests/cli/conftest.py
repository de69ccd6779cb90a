"""What `cnlw validate` does in a process of its own, done in that of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from cnlw_tools.checks import roundtrip
from cnlw_tools.executor import SERIAL, Executor


@pytest.fixture
def reads_back_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check `roundtrip` load builds here: each new process imports `datasets` for seconds."""

    @contextmanager
    def isolated(workers: int) -> Iterator[Executor]:
        yield SERIAL

    import datasets  # noqa: F401, with the environment of the tests, since it reads it once

    for name in ("HF_HUB_OFFLINE", "HF_HOME"):  # the check sets both, and its process ends
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(roundtrip, "local", SimpleNamespace(isolated=isolated))
