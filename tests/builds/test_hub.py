"""A push to a server that speaks the Hub's language, with the Hub's own client."""

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cnlw_tools.builds import hub as hub_module
from cnlw_tools.builds.build import build
from cnlw_tools.builds.hub import push_build
from cnlw_tools.cli import main
from cnlw_tools.files.folders import list_names
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from tests.hub_server import TOKEN, Hub, start

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the client
RECIPE = Recipe("shapes", "blue", levels=(0, 40), shard_rows=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny) -> Path:
    """A build with a dozen shards."""
    parent = tmp_path_factory.mktemp("hub")
    build(RECIPE, Inputs(tiny(parent / "root")), parent / "build")
    return parent / "build"


@pytest.fixture
def hub(monkeypatch):
    """A server, to which the client talks with the right token."""
    from huggingface_hub import constants

    known = Hub()
    server = start(known)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", known.url)
    clock = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr("huggingface_hub.utils._http.time", clock)
    monkeypatch.setattr(hub_module, "FILES_PER_COMMIT", 4)
    yield known
    server.shutdown()
    server.server_close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a build."""
    return {name: (folder / name).read_bytes() for name in list_names(folder)}


def test_a_repository_holds_the_build(hub, folder):
    """All files are there with their bytes, shards before the card, with the tag."""
    summary = push_build(folder, hub.name, private=True, gated=True, tag="v1")

    names = list_names(folder)
    assert hub.files == contents(folder)
    assert hub.private
    assert hub.gated == "auto"
    assert hub.tags == {"v1": hub.head}
    assert (summary.n_files, summary.n_sent, summary.n_deleted) == (len(names), len(names), 0)
    assert summary.sent_bytes == sum(map(len, hub.files.values()))
    assert summary.url == f"{hub.url}/datasets/{hub.name}"
    *shards, last = hub.commits
    assert len(shards) > 1
    assert all(len(commit["added"]) <= 4 for commit in shards)
    assert all(name.startswith("data/") for commit in shards for name in commit["added"])
    assert "README.md" in last["added"]


def test_what_is_there_is_not_sent_again(hub, folder):
    """A second push of the same build makes no commit."""
    push_build(folder, hub.name)
    before = len(hub.commits)

    summary = push_build(folder, hub.name, tag="v1")

    assert (summary.n_sent, summary.sent_bytes, len(hub.commits)) == (0, 0, before)
    assert hub.tags == {"v1": hub.head}
    assert push_build(folder, hub.name, tag="v1").n_sent == 0


def test_a_push_that_broke_off_continues(hub, folder):
    """What came before the fault stays, without a card; the next push sends the rest."""

    def break_off(_stage: str, done: int, _total: int) -> None:
        if done == 8:
            hub.fail("POST .*/commit/", 500, n=1000)

    with pytest.raises(OSError, match="lab/noise: the Hub answered with status 500: run the same"):
        push_build(folder, hub.name, progress=break_off)
    assert len(hub.files) == 8
    assert "README.md" not in hub.files

    hub.faults.clear()
    summary = push_build(folder, hub.name)

    assert hub.files == contents(folder)
    assert summary.n_sent == summary.n_files - 8


def test_a_broken_connection_is_one_line(hub, folder):
    """An upload whose connection breaks is an error of one line, and the next push goes on."""
    hub.fail("PUT /lfs/", 0, n=1000)
    with pytest.raises(
        OSError, match=r"lab/noise: the push broke off \(.*\): run the same command"
    ):
        push_build(folder, hub.name)

    hub.faults.clear()
    push_build(folder, hub.name)
    assert hub.files == contents(folder)


def test_a_fault_that_passes_is_not_reported(hub, folder, caplog):
    """The client tries once more after a broken connection, and its log stays quiet."""
    hub.fail("PUT /lfs/", 0, n=1)

    push_build(folder, hub.name)

    assert hub.files == contents(folder)
    assert caplog.messages == []


def test_an_earlier_build_is_replaced_at_once(hub, folder, tmp_path, tiny):
    """Its files remain until the commit with the new card, which deletes them."""
    hub.files[".gitattributes"] = b"*.parquet lfs"
    push_build(folder, hub.name, tag="v1")
    old = set(list_names(folder))
    other = Recipe("shapes", "blue", levels=(40,), seed=1, shard_rows=20)
    build(other, Inputs(tiny(tmp_path / "root")), tmp_path / "build")

    with pytest.raises(ValueError, match="the tag 'v1' exists and marks another build: give anot"):
        push_build(tmp_path / "build", hub.name, tag="v1")
    n_commits = len(hub.commits)
    summary = push_build(tmp_path / "build", hub.name, tag="v2")

    new = set(list_names(tmp_path / "build"))
    assert hub.files == {**contents(tmp_path / "build"), ".gitattributes": b"*.parquet lfs"}
    assert summary.n_deleted == len(old - new) > 0
    assert [commit["deleted"] for commit in hub.commits[n_commits:-1]] == [[]] * (
        len(hub.commits) - n_commits - 1
    )
    assert set(hub.commits[-1]["deleted"]) == old - new


def test_another_repository_is_left_alone(hub, folder):
    """A repository with files of something else is an error before anything is sent."""
    hub.exists, hub.files["train.csv"] = True, b"x"

    with pytest.raises(FileExistsError, match=r"of a build, because train\.csv is"):
        push_build(folder, hub.name, gated=True)
    assert hub.files == {"train.csv": b"x"}
    assert not hub.gated


def test_a_public_repository_does_not_become_private(hub, folder):
    """--private is an error if everybody would see the images."""
    hub.exists, hub.private = True, False

    with pytest.raises(ValueError, match=r"^lab/noise: the repository exists and is public"):
        push_build(folder, hub.name, private=True)
    assert hub.files == {}

    hub.private = True
    push_build(folder, hub.name)
    assert hub.files == contents(folder)
    assert hub.private


def test_a_tag_of_an_earlier_build(hub, folder, tmp_path, tiny):
    """A tag is compared with its own files, and not with the newest ones."""
    push_build(folder, hub.name, tag="v1")
    other = Recipe("shapes", "blue", levels=(40,), seed=1, shard_rows=20)
    build(other, Inputs(tiny(tmp_path / "root")), tmp_path / "build")
    push_build(tmp_path / "build", hub.name)

    with pytest.raises(ValueError, match="the tag 'v1' exists and marks another build: give anot"):
        push_build(tmp_path / "build", hub.name, tag="v1")

    hub.files["eval.yaml"] = b"name: x"
    hub.commits.append({"added": ["eval.yaml"], "deleted": []})
    push_build(tmp_path / "build", hub.name, tag="v2")
    push_build(tmp_path / "build", hub.name, tag="v2")
    assert hub.tags["v2"] == hub.head != hub.tags["v1"]


def test_two_pushes_at_once(hub, folder):
    """A commit of somebody else between two of ours is an error, and is not overwritten."""

    def interfere(_stage: str, done: int, _total: int) -> None:
        if done == 4:
            hub.commits.append({"added": [], "deleted": []})

    with pytest.raises(OSError, match="status 412: another push changed the repository meanwhile"):
        push_build(folder, hub.name, progress=interfere)


@pytest.mark.parametrize(
    ("pattern", "status", "message"),
    [
        ("POST /api/repos/create", 403, "status 403: use a token with the right to write there"),
        ("GET .*/tree/", 404, "status 404: create the repository on the Hub, or"),
        ("POST .*/preupload/", 413, "status 413: the Hub takes no request of this size"),
        ("PUT /lfs/", 413, "the Hub takes no file of this size: build with a smaller shard_rows"),
        ("POST /api/validate-yaml", 413, "answer of the Hub to the card is not JSON, as when READ"),
        ("POST .*/tag/", 500, "status 500: run the same command again, which continues"),
    ],
)
def test_refusals_are_one_line(hub, folder, pattern, status, message):
    """An answer that refuses is one line with a remedy."""
    hub.fail(pattern, status, n=1000)

    with pytest.raises(OSError, match=r"^lab/noise: ") as caught:
        push_build(folder, hub.name, tag="v1")

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("token", ["hf_wrong", ""])
def test_a_refused_token(hub, folder, monkeypatch, tmp_path, token):
    """A wrong token, or none, is one line that says how to log in."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))

    with pytest.raises(PermissionError, match="status 401: log in with `hf auth login`, or set HF"):
        push_build(folder, hub.name)


@pytest.mark.parametrize("name", ["a/b/c", "noise", "lab/", "lab/noise data"])
def test_a_name_that_is_none(hub, folder, name):
    """A name that no repository can have is an error without a request."""
    with pytest.raises(ValueError, match=f"^'{name}' is not the name of a repository: give OWNER"):
        push_build(folder, name)
    assert hub.requests == []


@pytest.mark.parametrize("tag", ["v 1", "-v", ".v", "v..1", "v.lock", "v1.", "a/b", "v:1"])
def test_a_tag_that_is_none(hub, folder, tag):
    """A name that no tag can have is an error without a request."""
    with pytest.raises(ValueError, match=r"^--tag '.*' cannot be the name of a version"):
        push_build(folder, hub.name, tag=tag)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["noise"], "'noise' is not the name of a repository"),
        (["lab/noise", "--tag", "v 1"], "--tag 'v 1' cannot be the name of a version"),
        (["--archive", "x.tar"], "x.tar: archives are written as a .zip file: name it x.zip"),
    ],
)
def test_names_are_checked_before_the_build(tmp_path, words, message):
    """A wrong name is an error before the checks of the build, which can take hours."""
    result = CliRunner().invoke(main, ["push", str(tmp_path / "none"), *words])

    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.usefixtures("reads_back_here")
def test_notes_of_the_hub(hub, folder, tmp_path):
    """What the Hub says about the card is printed as a note, and the call that loads the build.

    The description for a conference has the address of the repository.
    """
    hub.warnings.append("empty or missing yaml metadata")
    located = tmp_path / "located.json"
    options = ["--tag", "v1", "--workers", "1", "--croissant", str(located)]

    result = CliRunner().invoke(main, ["push", str(folder), hub.name, *options])

    assert result.exit_code == 0, result.output
    assert f"datasets/{hub.name}/tree/refs%2Ftags%2Fv1" in located.read_text()
    assert "empty or missing yaml metadata" in result.stderr
    assert f'load_dataset("{hub.name}", "blue_40", revision="v1")' in result.stdout


@pytest.mark.usefixtures("reads_back_here")
def test_a_build_with_errors_is_not_published(hub, folder, tmp_path):
    """The checks come first; an error of theirs ends the push before a request."""
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    next((broken / "data").glob("*.parquet")).unlink()

    result = CliRunner().invoke(main, ["push", str(broken), hub.name, "--workers", "1"])

    assert result.exit_code == 1
    assert "publish only a build without errors" in result.stderr
    assert hub.requests == []
