"""A pack at an address that is open for writing.

It is filled through a working store on this machine, in the cache:

    CACHE/storage/HASH/NAME/             the ledger of the pack, as it was read last
    CACHE/storage/HASH/NAME.working/     what this machine has fetched and not put yet

What has a row in one of the two ledgers is not requested again. Whenever enough has been fetched,
full files of images are put, then the ledger with their rows, which replaces only the ledger that
it was made from. If another machine has put one meanwhile, ours is made again from that one. So the
address always has a complete pack, and nobody's work is lost.

The working store notes which images a file will have before it is put. A command that was killed
therefore continues with the same files, and deletes its images only when the ledger has them.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from queue import SimpleQueue
from threading import RLock, Thread

from cnlw_tools.files import atomic_write
from cnlw_tools.files.machine_faults import start_thread
from cnlw_tools.files.mirror import Mirror, name_addresses
from cnlw_tools.store import pack
from cnlw_tools.store.join import is_better
from cnlw_tools.store.outcomes import Tally
from cnlw_tools.store.pack import PackedStore
from cnlw_tools.store.placeholders import FILE_NAME as PLACEHOLDERS
from cnlw_tools.store.placeholders import add_placeholders
from cnlw_tools.store.snapshot import SNAPSHOT, write_ledger_table
from cnlw_tools.store.store import Ledger, Row, State, Store, open_ledger
from cnlw_tools.store.writer import Notify, Show

BLOCK_ROWS = 500  # compared at a time
# The ledger is put anew when the pack has grown by this part, so all puts of it together have a
# limit, which is a multiple of its size.
GROWTH = 20


@contextmanager
def open_remote_writer(place: Path | str, purpose: str) -> Iterator["RemoteWriter"]:
    """Open a pack at an address for writing; see `open_writer`."""
    mirror = Mirror(place, f"store {purpose}")
    working = mirror.folder.with_name(f"{mirror.folder.name}.working")
    with mirror.writing():
        pack.require_pack(mirror.remote.address, mirror.remote.list_files())
        mirror.remote.check_writable()
        address = mirror.remote.address
        with (
            open_ledger(working),
            _WorkingLedger(working, address) as ledger,
            _WorkingLedger(working, address) as put_ledger,
        ):
            writer = RemoteWriter(mirror, ledger, put_ledger)
            try:
                yield writer
            finally:
                writer.close()


class _WorkingLedger(Ledger):
    """The ledger of a working store, which also knows the rows of the pack at the address."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.address = address
        self.create_places()
        self.pack: PackedStore | None = None
        self.pack_lock = RLock()  # whoever holds it, reads one state of the pack

    @property
    def place(self) -> Path | str:
        """Return the address of the pack."""
        return self.address

    def read_states(self, image_ids: Sequence[str]) -> Mapping[str, State]:
        """Return the state of each of the given ids that has a row here or in the pack."""
        with self.pack_lock:
            states = dict(super().read_states(image_ids))
            packed = self.pack.read_states(image_ids) if self.pack else {}
        for image_id, state in packed.items():
            is_image = state.outcome == "ok" and state.file_intact
            if is_image or image_id not in states:
                states[image_id] = state
        return states

    def read_kept(self) -> list[str | None]:
        """Return the different values of `kept` that images have here or in the pack."""
        options = super().read_kept()
        with self.pack_lock:
            if self.pack:
                options += self.pack.read_kept()
        return list(dict.fromkeys(options))

    def answered_uris(self, n: int) -> list[str]:
        """Return the URIs of the n newest rows for which a host answered."""
        uris = super().answered_uris(n)
        with self.pack_lock:
            return uris or (self.pack.answered_uris(n) if self.pack else [])

    def waiting_images(self) -> Iterator[Row]:
        """Yield the rows of images that no file will have yet, in the order of ids."""
        sql = (
            f"SELECT {self.columns} FROM ledger "  # noqa: S608, our names
            "WHERE class = 'ok' AND image_id NOT IN (SELECT image_id FROM places) ORDER BY image_id"
        )
        for values in self.query(sql):
            yield self._make_row(values)

    def planned_files(self) -> dict[str, list[str]]:
        """Return the ids of the images that each file will have, by the hash of the file."""
        rows = list(self.query("SELECT file, image_id FROM places ORDER BY file, image_id"))
        planned = {}
        for file_hash, group in groupby(rows, itemgetter(0)):
            planned[file_hash] = [image_id for _, image_id in group]
        return planned

    def is_intact(self, row: Row) -> bool:
        """Return whether the file of a row is here as it was written."""
        return self._file_intact(row)

    def forget(self, rows: Sequence[Row]) -> None:
        """Delete rows and their files, but no row that was written anew since it was read."""
        if not rows:
            return
        for row in rows:
            if row.outcome == "ok":
                self.image_path(row.image_id, str(row.file_format)).unlink(missing_ok=True)
        keys = [(row.image_id, row.timestamp) for row in rows]
        ids = [(row.image_id,) for row in rows]
        self.change(
            ("DELETE FROM ledger WHERE image_id = ? AND at = ?", keys),
            ("DELETE FROM places WHERE image_id = ?", ids),
        )


class RemoteWriter:
    """A pack at an address, which is filled through a working store."""

    def __init__(self, mirror: Mirror, ledger: _WorkingLedger, put_ledger: _WorkingLedger) -> None:
        """Read what is at the address and what waits here.

        Args:
            mirror: of the address
            ledger: for those who fetch
            put_ledger: the same for those who put. While one thread reads through a connection to
                SQLite, another one cannot write through it if a process has written meanwhile.
        """
        self.mirror = mirror
        self.ledger = ledger
        self.put_ledger = put_ledger
        self.version: str | None = None  # of the ledger of the pack
        self.n_rows = 0  # of this ledger
        self.has_put = False
        self.puts: _BackgroundPuts | None = None
        self._read_pack()
        self._check_plans()
        if not self.put_ledger.count_outcomes():  # a killed fetch may have left files without rows
            shutil.rmtree(ledger.folder / "images", ignore_errors=True)
        if self.put_ledger.pack and (self.mirror.folder / PLACEHOLDERS).is_file():
            add_placeholders(self.mirror.folder / PLACEHOLDERS, ledger.folder)

    def watch(self, progress: Show, notify: Notify) -> Show:
        """Return what is called with the counts: it starts a put whenever enough was fetched."""
        puts = self.puts = _BackgroundPuts(partial(self.put, only_full=True), notify)
        n_put = 0

        def show(tally: Tally) -> None:
            nonlocal n_put
            progress(tally)
            if tally.fetched - n_put >= self._batch_size():
                n_put = tally.fetched
                puts.start_one()

        return show

    def finish(self) -> None:
        """Put all that waits.

        Raises:
            OSError: it cannot be put; it waits for the next command
        """
        self.close()
        self.put(only_full=False)
        remote_files = self.mirror.remote.list_files()
        if self.has_put or SNAPSHOT not in remote_files:
            self.mirror.remote.write(SNAPSHOT, partial(write_ledger_table, self.contents()))
        if self.put_ledger.pack:
            pack.delete_others(self.mirror.remote, remote_files, self.put_ledger.pack.used_files())

    def contents(self) -> Store:
        """Return the pack."""
        return self.ledger.pack or self.ledger

    def close(self) -> None:
        """Wait for the put that is under way, if there is one."""
        if self.puts:
            self.puts.close()

    def put(self, only_full: bool) -> None:
        """Put images that wait, and then the ledger with all rows.

        Args:
            only_full: put only full files of images, and leave the other images waiting

        Raises:
            OSError: something cannot be put
        """
        self._plan_files(only_full)
        self._put_images()
        rows = self._rows_to_put()
        is_first = self.put_ledger.pack is None and not only_full
        if rows or is_first or self._has_new_placeholders():
            self._put_ledger(rows)
            self.has_put = True
        self.put_ledger.forget(rows)

    def _batch_size(self) -> int:
        """Return how many URLs are fetched before the next put."""
        return max(pack.IMAGES_PER_FILE, self.n_rows // GROWTH)

    def _read_pack(self) -> None:
        """Read the pack as it is at the address now."""
        mirror = self.mirror
        remote_files = mirror.update_to_newest(pack.SMALL_FILES.__contains__)
        self.version, opened = None, None
        if pack.LEDGER in remote_files:
            self.version = remote_files[pack.LEDGER].version
            opened = PackedStore(mirror.remote.address, mirror.folder)
            opened.file_names = remote_files.keys()
            self.n_rows = opened.count_outcomes().total()
        self.put_ledger.pack = opened
        with self.ledger.pack_lock:
            if self.ledger.pack:
                self.ledger.pack.connection.close()
            self.ledger.pack = opened

    def _check_plans(self) -> None:
        """Drop the plan of each file whose images have changed or are damaged."""
        for file_hash, ids in self.put_ledger.planned_files().items():
            digests = {}
            for image_id in ids:
                row = self.put_ledger.read_row(image_id)
                if row.outcome == "ok" and self.put_ledger.is_intact(row):
                    digests[image_id] = str(row.file_sha256)
            if len(digests) < len(ids) or pack.plan_file(digests).hash != file_hash:
                self.put_ledger.change(("DELETE FROM places WHERE file = ?", [(file_hash,)]))

    def _plan_files(self, only_full: bool) -> None:
        """Note which images are to be in which files; those that nobody needs are deleted."""
        digests: dict[str, str] = {}
        useless = []
        for row in self.put_ledger.waiting_images():
            if self.put_ledger.is_intact(row) and self._is_news(row):
                digests[row.image_id] = str(row.file_sha256)
            else:
                useless.append(row)
        self.put_ledger.forget(useless)
        ids = list(digests)
        for start in range(0, len(ids), pack.IMAGES_PER_FILE):
            part = ids[start : start + pack.IMAGES_PER_FILE]
            if len(part) == pack.IMAGES_PER_FILE or not only_full:
                plan = pack.plan_file({image_id: digests[image_id] for image_id in part})
                self.put_ledger.change((pack.PUT_PLACE, plan.places()))

    def _is_news(self, row: Row) -> bool:
        """Return whether a row is to replace what the pack has of its image."""
        packed = self.put_ledger.pack
        states = packed.read_states([row.image_id]) if packed else {}
        return is_better(row, states.get(row.image_id))

    def _put_images(self) -> None:
        remote_files = self.mirror.remote.list_files()
        for file_hash, ids in self.put_ledger.planned_files().items():
            name = pack.file_name(file_hash)
            if name not in remote_files:
                self.mirror.remote.write(name, partial(pack.write_images, self.put_ledger, ids))

    def _rows_to_put(self) -> list[Row]:
        """Return the rows of failures, and those of images whose file has been put."""
        planned = {image_id for ids in self.put_ledger.planned_files().values() for image_id in ids}
        return [
            row for row in self.put_ledger.rows() if row.outcome != "ok" or row.image_id in planned
        ]

    def _put_ledger(self, rows: Sequence[Row]) -> None:
        """Put the ledger of the pack with further rows."""
        mirror = self.mirror
        while True:
            write = partial(self._add_rows, rows)
            with atomic_write(mirror.folder / pack.LEDGER) as draft:
                pack.write_packed_ledger(self.put_ledger.pack, write, draft)
            self._put_placeholders()
            try:
                mirror.push_instead(pack.LEDGER, mirror.folder, self.version)
            except FileExistsError:  # another machine has put its own, which is read now
                self._read_pack()
            else:
                break
        self._read_pack()

    def _add_rows(self, rows: Sequence[Row], draft: Ledger) -> None:
        """Write those rows into the draft of a ledger that replace what the pack has."""
        places = {
            image_id: (image_id, file, group)
            for image_id, file, group in self.put_ledger.query("SELECT * FROM places")
        }
        for start in range(0, len(rows), BLOCK_ROWS):
            better = [row for row in rows[start : start + BLOCK_ROWS] if self._is_news(row)]
            ids = [(row.image_id,) for row in better]
            images = [places[row.image_id] for row in better if row.outcome == "ok"]
            draft.write_rows(better)
            draft.change(("DELETE FROM places WHERE image_id = ?", ids), (pack.PUT_PLACE, images))

    def _has_new_placeholders(self) -> bool:
        """Return whether the list of placeholders here is another one than in the pack."""
        local_list = self.put_ledger.folder / PLACEHOLDERS
        packed_list = self.mirror.folder / PLACEHOLDERS
        if not local_list.is_file():
            return False
        return not packed_list.is_file() or local_list.read_bytes() != packed_list.read_bytes()

    def _put_placeholders(self) -> None:
        """Put the list of placeholders, with those that the pack has."""
        packed_list = self.mirror.folder / PLACEHOLDERS
        if packed_list.is_file():
            add_placeholders(packed_list, self.put_ledger.folder)
        if self._has_new_placeholders():
            self.mirror.remote.put(self.put_ledger.folder / PLACEHOLDERS, PLACEHOLDERS)


class _BackgroundPuts:
    """A thread that puts what has been fetched, while the fetch goes on."""

    def __init__(self, put: Callable[[], None], notify: Notify) -> None:
        self.put = put
        self.notify = notify
        self.error: BaseException | None = None
        self.requests: SimpleQueue[bool] = SimpleQueue()  # True: a put; False: the end
        self.thread = Thread(target=self._run, daemon=True)
        start_thread(self.thread)

    def start_one(self) -> None:
        """Let the thread put what waits, as soon as it has nothing else to do."""
        if self.requests.empty():
            self.requests.put(True)

    def close(self) -> None:
        """End the thread when it has done what it was asked.

        Raises:
            BaseException: that of a put, unless the next one may succeed
        """
        self.requests.put(False)
        self.thread.join()
        if self.error:
            raise self.error

    def _run(self) -> None:
        while not self.error and self.requests.get():
            try:
                self.put()
            except OSError as error:
                message = name_addresses(str(error))
                self.notify(f"{message} (the fetch continues; its images wait on this machine)")
            except BaseException as error:  # noqa: BLE001, the main thread raises it again
                self.error = error
