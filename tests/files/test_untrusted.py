"""Whatever a library raises becomes one error; what is no file is not opened."""

import errno
import os

import pytest

from cnlw_tools import files
from cnlw_tools.files.untrusted import (
    BadFile,
    BoundedReader,
    check_regular,
    describe_error,
    first_line,
    read_bytes,
    translate_errors,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("data"), "KeyError: data"),
        (MemoryError(), "it needs more memory than there is"),
        (RecursionError("maximum"), "nested too deeply"),
        (NotImplementedError(), "NotImplementedError"),
        (ValueError("a\n  b"), "a b"),
        (OSError("magic bytes"), "magic bytes"),
        (TypeError("<object at 0x7f00aa>"), "TypeError: <object>"),
        (ValueError("x" * 999), "x" * 200 + " ..."),
    ],
)
def test_reasons(error, reason):
    """An error says in one short line, without addresses, what is wrong."""
    assert reason == describe_error(error)
    with pytest.raises(BadFile) as raised, translate_errors("a.bin", "a table", "copy it"):
        raise error
    assert f"a.bin cannot be read as a table ({reason}): copy it" == str(raised.value)


def test_what_the_disk_says_stays():
    """A full or forbidden disk is no damaged file."""
    with pytest.raises(PermissionError), translate_errors("a", "a table"):
        raise PermissionError(errno.EACCES, "Permission denied", "a")


def test_a_place_before_the_file_is_damage():
    """A damaged file may point before its own beginning, which the disk calls invalid."""
    with pytest.raises(BadFile), translate_errors("a", "a table"):
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_pipe_is_not_opened(tmp_path):
    """A named pipe in place of a file, which would wait for a writer, is refused at once."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(
        BadFile, match=r"pipe: this is a pipe, a socket or a device, not a file: save"
    ):
        read_bytes(tmp_path / "pipe", 1)
    with pytest.raises(IsADirectoryError, match="a folder, not a file"):
        check_regular(tmp_path)


def test_a_file_beyond_the_limit(tmp_path):
    """A file that is longer than any of its kind is not read."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(3 << 30)

    with pytest.raises(BadFile, match=r"a: it has 3,221 MB, but at most 1 MB are read"):
        read_bytes(tmp_path / "a", 1 << 20)


def test_bounded_reader(tmp_path):
    """A single read and all reads together stay below their limits."""
    (tmp_path / "a").write_bytes(bytes(100))
    with (tmp_path / "a").open("rb") as file:
        reader = BoundedReader(file, "a", per_read=60, total=80)

        assert bytes(50) == reader.read(50)
        with pytest.raises(BadFile):
            reader.read(61)
        with pytest.raises(BadFile):
            reader.read(50)
        reader.seek(0)
        with pytest.raises(BadFile):
            reader.read()


def test_the_digest_of_a_pipe(tmp_path):
    """A named pipe has no sha256, and nobody waits for one."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BadFile, match="pipe: this is a pipe, a socket or a device"):
        files.digest(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("\nsizes differ\n  at layer 3"), "sizes differ"),
        (RuntimeError("\n"), "RuntimeError"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_first_line_of_an_error(error, line):
    """An error that says nothing is known by its kind."""
    assert first_line(error) == line
