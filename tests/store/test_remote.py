"""A pack at an address that is open for writing: what is put, in which order, and what is kept."""

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from cnlw_tools.files import storage
from cnlw_tools.files.mirror import name_addresses
from cnlw_tools.files.storage import RemoteFolder
from cnlw_tools.store import pack
from cnlw_tools.store.outcomes import Tally
from cnlw_tools.store.pack import open_store, pack_store
from cnlw_tools.store.store import Ledger, Row, Store, open_ledger
from cnlw_tools.store.writer import open_writer

IDS = [f"w{number:02d}" for number in range(23)]
MEMORY = "memory://bucket/web"
WRITER = """
import os, signal, sys
from tests.store import test_remote
from cnlw_tools.files.storage import RemoteFolder

n_left = int(sys.argv[2])

def die_at_last(put):
    def put_or_die(*arguments):
        global n_left
        if n_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        n_left -= 1
        return put(*arguments)
    return put_or_die

RemoteFolder.put = die_at_last(RemoteFolder.put)
RemoteFolder.replace = die_at_last(RemoteFolder.replace)
test_remote.pack.IMAGES_PER_FILE = 10
test_remote.pack.IMAGES_PER_GROUP = 4
test_remote.fill(sys.argv[1], test_remote.IDS)
"""


@pytest.fixture(autouse=True)
def small_files(monkeypatch) -> None:
    """A file has ten images, and a row group four."""
    monkeypatch.setattr(pack, "IMAGES_PER_FILE", 10)
    monkeypatch.setattr(pack, "IMAGES_PER_GROUP", 4)


@pytest.fixture
def move(tmp_path, monkeypatch):
    """Return what goes to another machine: one with a cache of its own."""
    return lambda name: monkeypatch.setenv("CNLW_CACHE", str(tmp_path / name))


def image(image_id: str) -> bytes:
    return 20 * sha256(image_id.encode()).digest()


def image_row(image_id: str, timestamp: float = 1e9) -> Row:
    data = image(image_id)
    digest = sha256(data).hexdigest()
    values = {"sha256": digest, "size": len(data), "format": "jpeg", "fingerprint": bytes(16)}
    return Row(image_id, "http://x/", "ok", None, 1, timestamp, source="uri", **values)


def failure(image_id: str, timestamp: float = 1e9) -> Row:
    return Row(image_id, "http://y/", "http_404", "HTTP 404", 1, timestamp, status=404)


def add(ledger: Ledger, ids: list[str], timestamp: float = 1e9) -> None:
    for image_id in ids:
        ledger.write_image(image_id, "jpeg", image(image_id))
        ledger.write_row(image_row(image_id, timestamp))


def fill(place: str, ids: list[str], *failures: Row) -> None:
    with open_writer(place) as writer:
        add(writer.ledger, ids)
        writer.ledger.write_rows(failures)
        writer.finish()


def check(place: str, ids: list[str]) -> None:
    """Check that exactly these images are there, each as it was."""
    with open_store(place) as store:
        assert sorted(ids) == store.image_ids()
        for image_id in ids:
            assert image(image_id) == store.read(image_id)


def working_files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*.working/images/*/*") if path.is_file()]


def test_what_is_written_is_at_the_address(address, tmp_path):
    """Images, failures and the table for readers; nothing waits on this machine any more."""
    place = f"{address}/web"
    with open_writer(place) as writer:
        add(writer.ledger, IDS)
        writer.ledger.write_row(failure("gone"))
        writer.finish()
        assert {"ok": 23, "http_404": 1} == writer.contents().count_outcomes()

    check(place, IDS)
    with open_store(place) as store:
        assert failure("gone") == store.read_row("gone")
    names = list(RemoteFolder(place).list_files())
    assert 3 == len([name for name in names if name.startswith("images/")])
    assert ["ledger.parquet", "packed.sqlite"] == names[3:]
    assert [] == working_files(tmp_path)


def test_what_one_fetch_puts_is_what_packing_puts(memory, tmp_path):
    """The same images in the same files, so `store pack` adds nothing."""
    fill(MEMORY, IDS)
    with open_ledger(tmp_path / "store") as ledger:
        add(ledger, IDS)
    with Store(tmp_path / "store") as store:
        assert pack.PackSummary(23, 3, 0) == pack_store(store, MEMORY)


def test_a_second_fetch_adds_files(memory, move):
    """On another machine, too; what is there is known to it, and no file is put again."""
    fill(MEMORY, IDS[::2], failure("gone"))
    times = {name: memory.created(name) for name in memory.find("/bucket/web/images")}
    move("other")

    with open_writer(MEMORY) as writer:
        states = writer.ledger.read_states([*IDS, "gone"])
        assert {*IDS[::2], "gone"} == states.keys()
        assert all(state.file_intact for state in states.values())
        add(writer.ledger, IDS[1::2])
        writer.finish()

    check(MEMORY, IDS)
    assert times == {name: memory.created(name) for name in times}
    assert 4 == len(memory.find("/bucket/web/images"))


def test_a_repeated_fetch_puts_nothing(memory):
    """No file of the pack has another time than before."""
    fill(MEMORY, IDS, failure("gone"))
    times = {name: memory.created(name) for name in memory.find("/bucket/web")}

    fill(MEMORY, [])

    assert times == {name: memory.created(name) for name in memory.find("/bucket/web")}


def test_full_files_are_put_while_the_fetch_goes_on(memory, tmp_path, move):
    """Who is killed later loses only what was not put, and not even that on this machine."""
    shown = []
    with open_writer(MEMORY) as writer:
        show = writer.watch(shown.append, shown.append)
        add(writer.ledger, IDS)
        writer.ledger.write_row(failure("gone"))
        show(Tally(30, fetched=5))
        show(Tally(30, fetched=24))
        writer.puts.close()  # and `finish` is not called
    assert [5, 24] == [tally.fetched for tally in shown]
    check(MEMORY, IDS[:20])
    assert 3 == len(working_files(tmp_path))
    move("other")
    with open_writer(MEMORY) as writer:
        assert {*IDS[:20], "gone"} == writer.ledger.read_states([*IDS, "gone"]).keys()
    move("cache")
    with open_writer(MEMORY) as writer:
        assert {*IDS, "gone"} == writer.ledger.read_states([*IDS, "gone"]).keys()
        writer.finish()
    check(MEMORY, IDS)
    assert 3 == len(memory.find("/bucket/web/images"))


def test_a_put_that_fails_is_tried_again_later(memory, monkeypatch):
    """The fetch goes on, and says so; what was to be put is put at the end."""
    monkeypatch.setattr(storage, "WAITS", ())
    put_file = type(memory).put_file
    notices = []
    with open_writer(MEMORY) as writer:
        show = writer.watch(lambda tally: None, notices.append)
        add(writer.ledger, IDS)
        monkeypatch.setattr(type(memory), "put_file", refuse)
        show(Tally(30, fetched=23))
        writer.puts.close()
        monkeypatch.setattr(type(memory), "put_file", put_file)
        writer.finish()

    (notice,) = notices
    assert notice.startswith(f"{MEMORY} cannot be written (so busy)")
    assert notice.endswith("(the fetch continues; its images wait on this machine)")
    check(MEMORY, IDS)


def test_a_put_does_not_disturb_those_who_fetch(memory):
    """Other processes write, and this one reads, while images are put: nothing is locked."""
    with open_writer(MEMORY) as writer:
        add(writer.ledger, IDS)
        writer.ledger.write_rows([failure(f"f{number}") for number in range(3_000)])
        reading = writer.ledger.rows()
        next(reading)
        with Ledger(writer.ledger.folder) as other_process:
            other_process.write_row(failure("z"))

            writer.put(only_full=True)

            other_process.write_row(failure("zz"))
        assert 3_022 == len(list(reading))
        writer.finish()
        assert 3_002 == writer.contents().count_outcomes()["http_404"]
    check(MEMORY, IDS)


def test_a_ledger_that_is_replaced_while_it_is_read_is_read_again(address, move, monkeypatch):
    """By those who write and by those who read: nobody tries to get a file that is gone."""
    place = f"{address}/web"
    fill(place, IDS[:12])
    puts = iter([[failure(f"f{number}") for number in range(n)] for n in (300, 900)])
    list_files = RemoteFolder.list_files
    busy = False

    def list_before_another_put(folder):
        nonlocal busy
        files = list_files(folder)
        rows = None if busy else next(puts, None)
        if rows:
            busy = True
            with pytest.MonkeyPatch.context() as other_machine:
                other_machine.setenv("CNLW_CACHE", f"{os.environ['CNLW_CACHE']}-{len(rows)}")
                fill(place, [], *rows)
            busy = False
        return files

    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "list_files", list_before_another_put)
        with open_store(place) as store:
            assert 300 <= store.count_outcomes()["http_404"]
    fill(place, IDS[12:])
    check(place, IDS)


def refuse(*_: object, **__: object) -> None:
    raise OSError("so busy")


def test_two_machines_lose_nothing_of_each_other(address, move):
    """The ledger that is put second has the rows of the first; images go before failures."""
    place = f"{address}/web"
    with open_writer(place) as writer:
        add(writer.ledger, IDS[:12])
        writer.ledger.write_rows([failure("w20"), failure("new", 2e9), failure("old", 1e9)])
        move("other")
        fill(place, IDS[10:], failure("new", 1e9), failure("old", 2e9))
        move("cache")
        writer.finish()

    check(place, IDS)
    with open_store(place) as store:
        assert [2e9, 2e9] == [store.read_row(name).timestamp for name in ("new", "old")]
        assert {*store.used_files()} < {*store.file_names}


def test_a_busy_storage_changes_nothing(s3):
    """Errors of the server, pauses and broken answers: the bytes are those of a calm one."""
    fill("s3://bucket/calm", IDS, failure("gone"))
    s3.fail(
        {"method": "PUT", "status": 503, "times": 3},
        {"method": "PUT", "status": 200, "seconds": 0.1, "times": 2},
        {"method": "PUT", "status": 500, "times": 2},
        {"method": "GET", "status": 500, "times": 2},
        {"method": "HEAD", "status": 503, "times": 2},
    )

    fill("s3://bucket/web", IDS, failure("gone"))

    calm, busy = s3.contents("bucket/calm"), s3.contents("bucket/web")
    assert images(calm) == images(busy)
    assert calm.keys() == busy.keys()
    check("s3://bucket/web", IDS)


def images(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith("images/")}


@pytest.mark.parametrize("n_puts", [2, 4])  # before a file of images, and before the ledger
def test_a_killed_writer_is_continued(s3, tmp_path, n_puts):
    """The address has the old pack or the new one; the next run puts only what is missing."""
    fill("s3://bucket/calm", IDS)
    fill("s3://bucket/web", ["a"])
    command = [sys.executable, "-c", WRITER, "s3://bucket/web", str(n_puts)]
    killed = subprocess.run(command, env=os.environ, check=False, timeout=60)
    assert -signal.SIGKILL == killed.returncode
    check("s3://bucket/web", ["a"])
    assert 23 == len(working_files(tmp_path))
    before = images(s3.contents("bucket/web"))
    assert n_puts == len(before)  # that of "a", and all that were put after the test of rights
    s3.fail()

    fill("s3://bucket/web", [])

    check("s3://bucket/web", ["a", *IDS])
    after = images(s3.contents("bucket/web"))
    assert images(s3.contents("bucket/calm")).items() <= after.items()
    assert 4 == len(after)
    assert [] == working_files(tmp_path)


def test_an_image_that_is_damaged_while_it_waits_is_left_out(memory, tmp_path):
    """Neither is it put, nor does it have a row, so the next fetch requests it again."""
    with open_writer(MEMORY) as writer:
        add(writer.ledger, IDS)
        writer._plan_files(only_full=True)
    for path in working_files(tmp_path):
        if path.read_bytes() in (image("w03"), image("w22")):
            path.write_bytes(b"damaged")

    fill(MEMORY, [])

    check(MEMORY, [image_id for image_id in IDS if image_id not in ("w03", "w22")])


def test_images_whose_file_is_gone_are_fetched_again(memory):
    """A file of the pack that somebody has deleted is not taken for intact."""
    fill(MEMORY, IDS)
    with open_store(MEMORY) as store:
        name, _ = store.find_place("w13")
    memory.rm(f"/bucket/web/{name}")
    with open_writer(MEMORY) as writer:
        states = writer.ledger.read_states(IDS)
        lost = [image_id for image_id in IDS if not states[image_id].file_intact]
        assert IDS[10:20] == lost
        add(writer.ledger, lost, timestamp=2e9)
        writer.finish()

    check(MEMORY, IDS)


def test_a_file_without_a_row_is_deleted(memory, tmp_path):
    """A killed fetch leaves one if it has not written the row; a file with a row stays."""
    with open_writer(MEMORY) as writer:
        writer.ledger.write_image("w00", "jpeg", image("w00"))
    with open_writer(MEMORY) as writer:
        assert [] == working_files(tmp_path)
        add(writer.ledger, ["w01"])
    with open_writer(MEMORY):
        assert 1 == len(working_files(tmp_path))


def test_lists_of_placeholders_are_joined(memory, tmp_path, move):
    """Those of the pack and that of this machine."""
    for machine, digit in (("one", "1"), ("two", "2")):
        move(machine)
        with open_writer(MEMORY) as writer:
            (writer.ledger.folder / "placeholders.csv").write_text(
                f"sha256,what\n{64 * digit},logo {digit}\n"
            )
            writer.finish()

    with open_store(MEMORY) as store:
        lines = (store.folder / "placeholders.csv").read_text().splitlines()
    assert ["sha256,what", f"{64 * '1'},logo 1", f"{64 * '2'},logo 2"] == lines


def test_something_else_is_not_replaced(memory, tmp_path):
    """Before anything is written; a command on this machine that writes there is not disturbed."""
    memory.pipe_file("/bucket/web/thesis.tex", b"x")
    with (
        pytest.raises(FileExistsError, match=r"web is not a pack, because thesis.tex is there: us"),
        open_writer(MEMORY),
    ):
        pass
    memory.rm("/bucket/web/thesis.tex")
    with (
        open_writer(MEMORY),
        open_writer(MEMORY, "1/2"),
        pytest.raises(BlockingIOError, match="another command of this machine is at work there"),
        open_writer(MEMORY),
    ):
        pass


def test_a_repository_with_a_card_is_a_place_for_a_store(hf):
    """The card stays."""
    hf.files["README.md"] = b"# Images"
    fill("hf://datasets/lab/noise", IDS)
    check("hf://datasets/lab/noise", IDS)
    assert b"# Images" == hf.files["README.md"]


def test_an_error_names_the_address(memory):
    """Not the folder in the cache in which images wait."""
    with open_writer(MEMORY) as writer:
        text = name_addresses(f"{writer.ledger.folder}/images/x: no room")
    assert f"{MEMORY}/images/x: no room" == text
