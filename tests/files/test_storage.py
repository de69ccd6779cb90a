"""Where files lie: paths of this machine, and addresses of storages."""

from pathlib import Path

import pytest

from cnlw_tools.files.storage import is_address, local_path

ADDRESSES = ["s3://bucket/b", "gs://bucket", "hf://datasets/me/b", "memory://b", "S3://b", "s3:/b"]
PATHS = ["builds/shapes", "/data/b", "~/b", "C:/b", "a:b/c", "./s3:b"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_no_path_of_this_machine(text):
    """An address is one as a text and as a path, and the error says what to do."""
    assert is_address(text)
    assert is_address(Path(text))
    with pytest.raises(ValueError, match=f"^{text}: an address, .*: give its path"):
        local_path(text)


@pytest.mark.parametrize("text", PATHS)
def test_a_path_is_no_address(text):
    """Every other text is a path, a drive letter and a colon within a name, too."""
    assert not is_address(text)
    assert Path(text) == local_path(text)
