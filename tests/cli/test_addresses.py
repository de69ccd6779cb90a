"""Commands write to an address what they write to a path: the same bytes, or nothing."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import cnlw_tools as cnlw
from cnlw_tools.cli import main
from cnlw_tools.dataset.dataset import list_datasets, read_dataset
from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.storage import RemoteFolder
from tests.sources.conftest import draw_jpeg, put

BUCKET = "memory://bucket"
ROOT = f"{BUCKET}/my"
TABLES = {"base.parquet", "classes.csv", "web.parquet"}


def run(*words: object, code: int = 0) -> str:
    """Run a command, and return what it prints."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert code == result.exit_code, result.output
    assert code == 0 or 1 == len(result.output.splitlines())
    return result.output


def stored(memory, folder: str) -> dict[str, bytes]:
    """Return the files at an address in memory, by name."""
    path = folder.removeprefix("memory:/")
    return {name.removeprefix(f"{path}/"): memory.cat_file(name) for name in memory.find(path)}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working folder, with photographs of two classes, candidates and votes."""
    monkeypatch.chdir(tmp_path)
    for label, name in enumerate(("rose", "tulip")):
        for number in range(5):
            put(tmp_path / "photos" / name / f"{number}.jpg", draw_jpeg(10 * label + number))
    urls = [f"https://example.org/{number}.jpg" for number in range(4)]
    lines = [f"{number % 2},{url}" for number, url in enumerate(urls)]
    (tmp_path / "list.csv").write_text("\n".join(["class,url", *lines, ""]))
    votes = [f"{line},no,{name}" for line in lines for name in ("Ann", "Bob")]
    (tmp_path / "votes.csv").write_text("\n".join(["class,url,correct,annotator", *votes, ""]))
    return tmp_path


def write_dataset(root: object) -> list[str]:
    """Make a dataset by all commands that write tables, and return what they print."""
    return [
        run("import", "folder", "photos", "--as", "flowers", "--root", root, "--workers", 1),
        run("import", "candidates", "list.csv", "--as", "flowers", "--root", root),
        run("votes", "import", "votes.csv", "--dataset", "flowers", "--root", root),
        run("votes", "import", "votes.csv", "--dataset", "flowers", "--root", root),
    ]


def local_tables(root: Path) -> dict[str, bytes]:
    """Return the files of a root that hold on every machine, by name."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name[0] != "."]
    names = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in names.items() if not name.startswith("places/")}


def test_the_tables_of_a_root_are_the_same(memory, here):
    """Also those of votes, with the numbers that people have; every line names the address."""
    local, remote = write_dataset("own"), write_dataset(ROOT)

    assert local_tables(here / "own") == stored(memory, ROOT)
    assert "annotators/flowers.csv" in stored(memory, ROOT)
    for mine, theirs in zip(local, remote, strict=True):
        assert mine.replace("own/", f"{ROOT}/").splitlines()[0] == theirs.splitlines()[0]
    assert f"--root {ROOT}" in remote[0]
    assert "0 votes added" in remote[-1]
    words = ["--dataset", "flowers", "--noise", "blue", "--level", 40, "--data-dir", "photos"]
    run("build", *words, "--root", ROOT, "--workers", 1)


def test_a_dataset_in_one_step(memory, here):
    """`cnlw new` and the Python API write the same tables, and what is there is added to."""
    run("new", "flowers", "photos", "--candidates", "list.csv", "--root", ROOT, "--workers", 1)
    first = stored(memory, ROOT)
    folder = cnlw.new("flowers", "photos", "list.csv", root=f"{BUCKET}/api", workers=1)

    assert f"{BUCKET}/api/manifests/flowers" == folder
    assert first == stored(memory, f"{BUCKET}/api")
    assert {f"manifests/flowers/{name}" for name in TABLES} == set(first)
    with Path("list.csv").open("a") as file:
        file.write("0,https://example.org/new.jpg\n")
    output = run("import", "candidates", "list.csv", "--as", "flowers", "--root", ROOT)
    assert f"{ROOT}/manifests/flowers/web.parquet: 5 candidates, 1 of them new" in output


@pytest.mark.parametrize("n_put", range(3))
def test_a_kill_between_files_leaves_no_dataset(memory, here, monkeypatch, n_put):
    """Its class list comes last. The same command then completes it."""
    replace, put_names = RemoteFolder.replace, []

    def kill(remote, path, name, version):
        if len(put_names) == n_put:
            raise KeyboardInterrupt
        put_names.append(name)
        return replace(remote, path, name, version)

    words = ["new", "flowers", "photos", "--candidates", "list.csv", "--root", ROOT]
    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "replace", kill)
        CliRunner().invoke(main, [*words, "--workers", "1"])

    assert n_put == len(stored(memory, ROOT))
    if n_put:
        assert "flowers" not in list_datasets(local_copy(ROOT))
    run(*words, "--workers", 1)
    assert 4 == len(read_dataset("flowers", local_copy(ROOT)).web)


def test_of_two_imports_at_once_one_is_refused(s3, here, monkeypatch):
    """The tables of the other one stay as they are."""
    root = "s3://bucket/my"
    shutil.copytree("photos/rose", "others/daisy")
    from cnlw_tools.ingest import import_dataset

    hash_images = import_dataset.hash_images

    def import_others_meanwhile(*arguments, **choices):
        monkeypatch.setattr(import_dataset, "hash_images", hash_images)
        with monkeypatch.context() as patch:
            patch.setenv("CNLW_CACHE", str(here / "other machine"))
            cnlw.import_source("folder", "others", "flowers", root=root, workers=1)
        return hash_images(*arguments, **choices)

    monkeypatch.setattr(import_dataset, "hash_images", import_others_meanwhile)
    words = ["import", "folder", "photos", "--as", "flowers", "--root", root, "--workers", "1"]
    output = run(*words, code=1)

    assert f"{root}/manifests/flowers/base.parquet: another command has just written" in output
    assert ("daisy",) == read_dataset("flowers", local_copy(root)).classes
    assert "contains other classes" in run(*words, code=1)


def test_nothing_is_read_if_the_root_cannot_be_written(s3, here):
    """The bucket is not there, or not for us."""
    words = ["import", "folder", "photos", "--as", "flowers", "--workers", "1", "--root"]
    assert "check the address" in run(*words, "s3://nothing/my", code=1)
    s3.fail({"method": "PUT", "status": 403, "times": 1})
    assert "check the rights" in run(*words, "s3://bucket/my", code=1)


@pytest.mark.parametrize("option", ["--skip-broken", "--list-broken"])
def test_the_list_of_broken_images(memory, here, option):
    """It is written although the command ends with an error."""
    put(here / "photos/rose/broken.jpg", b"no image")
    words = ["import", "folder", "photos", "--as", "flowers", "--root", "own", "--workers", 1]
    CliRunner().invoke(main, [*map(str, words), option, f"{BUCKET}/broken.csv"])
    assert b"rose/broken.jpg" in memory.cat_file("/bucket/broken.csv")


def test_a_plan_and_its_labels(memory, here, contents):
    """A plan replaces a plan, and nothing else; the folder of labels must be new."""
    words = ["plan", "--noise", "symmetric", "--level", "40", "--out"]
    run(*words, "plan.parquet", "--labels", "labels")
    for _ in range(2):
        output = run(*words, f"{BUCKET}/plan.parquet")
        assert f"{BUCKET}/plan.parquet: 6,000 rows" in output
    run(*words, f"{BUCKET}/plan.parquet", "--labels", f"{BUCKET}/labels")

    assert (here / "plan.parquet").read_bytes() == memory.cat_file("/bucket/plan.parquet")
    assert contents(here / "labels") == stored(memory, f"{BUCKET}/labels")
    labels = ["--labels", f"{BUCKET}/labels"]
    assert "use another --labels" in run(*words, "p.parquet", *labels, code=1)
    inside = run(*words, f"{BUCKET}/new/p.parquet", "--labels", f"{BUCKET}/new", code=1)
    assert "is in the folder that --labels" in inside
    assert "name it plan.parquet" in run(*words, f"{BUCKET}/plan.csv", code=1)
    memory.pipe_file("/bucket/thesis.parquet", b"thesis")
    assert f"Error: {BUCKET}/thesis.parquet cannot be read as Parquet" in run(
        *words, f"{BUCKET}/thesis.parquet", code=1
    )
    assert b"thesis" == memory.cat_file("/bucket/thesis.parquet")


def test_features_and_tasks(memory, here, tmp_path, tiny):
    """A side table, and the tasks with the labelling interface beside them."""
    words = ["features", "--size", 2, "--workers", 1, "--root", tiny(tmp_path / "root"), "--out"]
    run(*words, "side.parquet")
    run(*words, f"{BUCKET}/side.parquet")
    assert (here / "side.parquet").read_bytes() == memory.cat_file("/bucket/side.parquet")

    write_dataset("own")
    words = ["votes", "export", "--dataset", "flowers", "--root", "own", "--votes", 9, "--out"]
    run(*words, "tasks.json")
    output = run(*words, f"{BUCKET}/tasks.json")
    assert f"labelling interface: {BUCKET}/tasks.xml" in output
    for name in ("tasks.json", "tasks.xml"):
        assert (here / name).read_bytes() == memory.cat_file(f"/bucket/{name}")


@pytest.fixture
def built(here) -> Path:
    """A build of the photographs."""
    write_dataset("own")
    build = cnlw.build("flowers", "blue", level=40, root="own", data_dir="photos", workers=1)
    return build.path


def test_a_build_is_checked_in_parts(memory, built):
    """The findings of each process are put, those that do not fit are refused before the work."""
    run("validate", built, "--shard", "1/2", "--out", f"{BUCKET}/checks", "--workers", 1)
    path = cnlw.validate_shard("2/2", built, out=f"{BUCKET}/checks", workers=1)

    assert f"{BUCKET}/checks/shard-2-of-2.parquet" == path
    names = {f"shard-{number}-of-2.parquet" for number in (1, 2)}
    assert names == set(stored(memory, f"{BUCKET}/checks"))
    run("validate", built, "--join", f"{BUCKET}/checks", "--workers", 1)
    words = ["validate", built, "--shard", "1/3", "--out", f"{BUCKET}/checks", "--workers", "1"]
    output = run(*words, code=2)
    assert f"Error: {BUCKET}/checks: the work of these shards was divided in different" in output


def test_a_build_is_made_again_and_from_parts(memory, built, contents):
    """Every file has the bytes of the published build; files that are there are only compared."""
    images = ["--root", "own", "--data-dir", "photos", "--workers", 1]
    words = ["rebuild", built, "--out", f"{BUCKET}/again", *images]
    assert f"{BUCKET}/again: " in run(*words)
    assert contents(built) == stored(memory, f"{BUCKET}/again")
    assert "were there before: only compared" in run(*words)
    summary = cnlw.rebuild(built, f"{BUCKET}/third", root="own", data_dir="photos", workers=1)
    assert (True, f"{BUCKET}/third") == (summary.is_same, summary.folder)
    words = ["rebuild", f"{BUCKET}/again", "--out", f"{BUCKET}/again", *images]
    assert "this is the published build" in run(*words, code=1)

    recipe = ["build", "--dataset", "flowers", "--noise", "blue", "--level", 40, *images, "--out"]
    run(*recipe, f"{BUCKET}/part", "--shard", "1/1")
    run(*recipe, "joined", "--join", f"{BUCKET}/part")
    assert contents(built)["README.md"] == Path("joined/README.md").read_bytes()


def test_pictures_and_archives(memory, built, here):
    """The matrix, images, and the whole build; a page of pictures is for this machine."""
    run("show", built, "--matrix", f"{BUCKET}/m.png")
    run("show", built, "--image", "rose/1.jpg", "--out", f"{BUCKET}/i.png")
    run("push", built, "--archive", f"{BUCKET}/flowers.zip", "--workers", 1)
    run("push", built, "--archive", "flowers.zip", "--workers", 1)

    for name in ("m.png", "i.png"):
        assert b"\x89PNG" == memory.cat_file(f"/bucket/{name}")[:4]
    assert (here / "flowers.zip").read_bytes() == memory.cat_file("/bucket/flowers.zip")
    output = run("show", built, "--gallery", "--out", f"{BUCKET}/page", code=1)
    assert "give a local path" in output
