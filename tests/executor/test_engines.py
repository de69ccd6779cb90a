"""What a user may give as --engine; what holds for every executor is in test_contract.py."""

import pytest

from cnlw_tools.executor import open_executor


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("dusk", r"unknown engine 'dusk'\. Did you mean 'dask'\?"),
        ("dask://", "not the address of a cluster: give NAME://HOST:PORT"),
        ("dask://host", "not the address of a cluster: give NAME://HOST:PORT"),
        ("dask://host:8786/x", "not the address of a cluster: give NAME://HOST:PORT"),
        ("dask://host:port", "Port could not be cast.*: give NAME://HOST:PORT"),
        ("dask://host:99999", "Port out of range.*: give NAME://HOST:PORT"),
        (
            "local://host:8786",
            "local stands for this machine and has no address: give --engine local",
        ),
    ],
)
def test_a_wrong_engine(engine, message):
    """The error says what an engine looks like."""
    with pytest.raises((ValueError, LookupError), match=message), open_executor(engine):
        pass


def test_workers_of_a_cluster():
    """A cluster has its own number of workers."""
    with pytest.raises(ValueError, match=r"^--workers 3 .* with --engine dask://host:8786: the"):
        open_executor("dask://host:8786", workers=3)


@pytest.mark.parametrize("workers", [0, -1, "2", 1.5, True])
def test_a_wrong_number_of_workers(workers):
    """The error names it before anything is started."""
    with pytest.raises(
        ValueError, match=rf"^workers {workers!r} is not allowed: give a whole number of at least 1"
    ):
        open_executor("local", workers)


def test_an_engine_that_is_no_text():
    """The error names what was given."""
    with pytest.raises(
        ValueError, match=r"^engine None is not allowed: give a text, such as 'local'"
    ):
        open_executor(None)
