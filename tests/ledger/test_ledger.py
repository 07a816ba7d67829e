"""The ledger's promises on SQLite and on PostgreSQL: turns, announcements, dead callers, lost databases."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.engine import Connection

from devtools.cluster.postgresql import PostgreSQL
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.ledger import callers, schema
from essay_cohorts.ledger import ledger as ledger_module
from essay_cohorts.ledger.callers import Caller
from essay_cohorts.ledger.database import FOLDER, Database, open_database
from essay_cohorts.ledger.ledger import Announcement, Ledger
from essay_cohorts.settings import Settings
from tests.ledger_reading import forget_connections


def database_of(settings: Settings) -> Database:
    return open_database(settings.data_root, settings.ledger)


def seen(settings: Settings, silent_s: float, host: str) -> None:
    """Let all callers be seen so long ago, on this host; who is to be dead was so before PostgreSQL was started."""
    silent_s += 120.0 if settings.ledger and silent_s > schema.LEASE_S else 0.0

    def change(connection: Connection) -> None:
        elsewhere = {} if host == socket.gethostname() else {"host": host, "process_table": host}
        connection.execute(update(schema.callers).values(seen_at=schema.clock() - silent_s, **elsewhere))

    database_of(settings).run(change)


def names(settings: Settings) -> list[str]:
    """Return the callers that the ledger knows."""
    return list(
        database_of(settings).run(lambda connection: connection.execute(select(schema.callers.c.who))).scalars()
    )


# ---------------------------------------------------------------- the planning turn


def test_one_planner_at_a_time(ledger: Ledger, settings: Settings) -> None:
    """A second planner waits for the end of the first one, and nothing is left of either."""
    with waiting_after(ledger) as had_turn:
        assert not had_turn()
    assert names(settings) == []


@contextmanager
def waiting_after(ledger: Ledger) -> Iterator[Callable[[], bool]]:
    """Hold the turn within the block while a thread waits for it; yield what tells whether the thread has had it."""
    had = threading.Event()

    def wait() -> None:
        with ledger.planning_turn("the second planner"):
            had.set()

    thread = threading.Thread(target=wait)
    with ledger.planning_turn("the first planner"):
        thread.start()
        yield lambda: had.wait(0.3)
    thread.join(20)
    assert had.is_set()


@pytest.mark.parametrize(
    ("silent_s", "host", "taken"),
    [
        pytest.param(schema.LEASE_S + 1, "elsewhere", True, id="silent for longer than the lease"),
        pytest.param(schema.LEASE_S - 5, socket.gethostname(), False, id="silent for less"),
        pytest.param(-600.0, "elsewhere", True, id="seen in the future, before the machine was restarted"),
    ],
)
def test_the_turn_of_a_silent_caller(
    ledger: Ledger,
    settings: Settings,
    silent_s: float,
    host: str,
    taken: bool,
) -> None:
    """The database's clock decides whether a caller of another machine is dead."""
    if taken:
        with ledger.planning_turn("a silent planner"):
            seen(settings, silent_s, host)
            with ledger.planning_turn("the next planner"):
                pass
        return
    with waiting_after(ledger) as had_turn:
        seen(settings, silent_s, host)
        assert not had_turn()


def test_a_killed_planner_loses_its_turn_at_once(ledger: Ledger, settings: Settings) -> None:
    """A dead process of this machine is known by its process id; there is nothing to wait for."""
    child = os.fork()
    if not child:
        with Ledger.of(settings).planning_turn("a planner to be killed"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert names(settings) == ["a planner to be killed"]
    began = time.monotonic()
    with ledger.planning_turn("the next planner"):
        assert names(settings) == ["the next planner"]
    assert time.monotonic() - began < schema.LEASE_S / 2


def test_a_process_of_another_container_is_not_looked_for_here(ledger: Ledger, settings: Settings) -> None:
    """Two containers may have one host name: only the clock says whether a process of the other one is dead."""

    def move(connection: Connection) -> None:
        connection.execute(update(schema.callers).values(process_table="another container", started=0.0))

    with waiting_after(ledger) as had_turn:
        database_of(settings).run(move)
        assert not had_turn()


def test_a_process_that_hides_its_start_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processes of other users are hidden, only the clock can say that one of them is dead."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    monkeypatch.setattr(callers, "_started", lambda _: None)
    assert callers._is_running(os.getppid(), 1.0)
    assert not callers._is_running(child, 1.0)


def test_who_plans_for_too_long_is_named(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the patience has ended, the error names the planner that is in the way."""
    monkeypatch.setattr(ledger_module, "_PATIENCE_S", 0.1)
    with (
        ledger.planning_turn("evaluation_backfill run-1"),
        pytest.raises(StoreError, match=r"evaluation_backfill run-1 was planning for 0.1 s"),
        ledger.planning_turn("another one"),
    ):
        pass


def test_the_turn_is_given_back_after_an_error(ledger: Ledger) -> None:
    """An error within the turn ends the turn."""
    with pytest.raises(ZeroDivisionError), ledger.planning_turn("a planner"):
        _ = 1 / 0
    with ledger.planning_turn("the next planner"):
        pass


# ---------------------------------------------------------------- callers


def test_a_caller_is_seen_again_and_again(settings: Settings) -> None:
    """The thread of a caller refreshes its row."""
    database = database_of(settings)

    def seen_at(connection: Connection) -> float:
        return float(connection.execute(select(schema.callers.c.seen_at)).scalar_one())

    with Caller(database, "a caller", beat_s=0.05):
        first = database.run(seen_at)
        until = time.monotonic() + 10
        while database.run(seen_at) == first:
            assert time.monotonic() < until
    assert names(settings) == []


def test_a_file_is_not_shared_by_two_machines(settings: Settings) -> None:
    """A living caller with another host name in a SQLite file is an error that names DD_LEDGER."""
    database = database_of(settings)
    with Caller(database, "a caller elsewhere"):
        seen(settings, 0.0, "another-machine")
        if settings.ledger:
            with Caller(database, "a caller here"):
                return
        with pytest.raises(BadInput, match=r"the machine another-machine uses it too. Set DD_LEDGER"):
            Caller(database, "a caller here").__enter__()
        seen(settings, schema.LEASE_S + 1, "another-machine")
        with Caller(database, "a caller here"):
            pass


def test_another_process_with_the_same_number_is_not_the_caller(settings: Settings) -> None:
    """A process id that was given away again does not keep a dead caller alive."""
    database = database_of(settings)
    with Caller(database, "a caller"):
        database.run(lambda connection: connection.execute(update(schema.callers).values(started=1.0)))
        database.run(callers.remove_dead)
        assert names(settings) == []


# ---------------------------------------------------------------- announcements

FIRST = Announcement(cohort_id="c", run_key="run-1", task="todo-0")


def test_an_evaluation_is_announced_once_for_each_cohort(ledger: Ledger) -> None:
    """Another task gets only what is new, the same task the same again, another cohort all of them."""
    assert ledger.announce(FIRST, ["v_2", "v_1"]) == ["v_2", "v_1"]
    second = Announcement(cohort_id="c", run_key="run-2", task="todo-0")
    assert ledger.announce(second, ["v_1", "v_2", "v_3"]) == ["v_3"]
    assert ledger.announce(FIRST, ["v_1", "v_2", "v_3"]) == ["v_1", "v_2"]
    assert ledger.announce(Announcement(cohort_id="d", run_key="run-1", task="todo-0"), ["v_1"]) == ["v_1"]
    assert ledger.announce(FIRST, []) == []


def test_ten_thousand_evaluations(ledger: Ledger) -> None:
    """The number of evaluations has no limit."""
    gen_ids = [f"v_{number}" for number in range(10_000)]
    assert ledger.announce(FIRST, gen_ids) == gen_ids
    assert ledger.announce(Announcement(cohort_id="c", run_key="run-2", task="reuse"), gen_ids) == []


def test_a_completion_is_announced_when_the_scores_are_new(ledger: Ledger) -> None:
    """The same run may ask again, because Airflow may not have got its first announcement."""
    assert ledger.complete("c", "run-1", "hash 1")
    assert ledger.complete("c", "run-1", "hash 1")
    assert not ledger.complete("c", "run-2", "hash 1")
    assert ledger.complete("c", "run-2", "hash 2")
    assert not ledger.complete("c", "run-1", "hash 2")
    assert ledger.complete("d", "run-2", "hash 2")


# ---------------------------------------------------------------- the database


def test_a_lost_ledger_is_made_again(settings: Settings, ledger: Ledger) -> None:
    """Without its tables the ledger begins again; nothing else is needed."""
    ledger.announce(FIRST, ["v_1"])
    database_of(settings).run(schema.metadata.drop_all)
    forget_connections()
    again = Ledger.of(settings)
    assert again.announce(Announcement(cohort_id="c", run_key="run-2", task="todo-0"), ["v_1"]) == ["v_1"]


def test_a_newer_version_is_refused(settings: Settings, ledger: Ledger) -> None:
    """A ledger of a newer program is not used, because its tables may mean something else."""
    database_of(settings).run(lambda connection: connection.execute(update(schema.ledger).values(version=99)))
    forget_connections()
    with pytest.raises(BadInput, match=f"version 99, and this program knows versions up to {schema.VERSION}"):
        Ledger.of(settings)


def test_an_older_version_is_brought_up_to_date(settings: Settings, ledger: Ledger) -> None:
    """Version 2 had no index, and no table of processes for its callers; what it remembers stays."""
    ledger.announce(FIRST, ["v_1"])
    database_of(settings).run(make_older)
    forget_connections()
    again = Ledger.of(settings)
    with again.planning_turn("a planner"):
        again.index.update({"v_1": "e_1"})
    assert again.index.essays() == {"v_1": "e_1"}
    assert again.announce(Announcement(cohort_id="c", run_key="run-2", task="todo-0"), ["v_1"]) == []


def make_older(connection: Connection) -> None:
    """Make the tables those of version 2."""
    schema.evaluations.drop(connection)
    connection.execute(text("ALTER TABLE callers DROP COLUMN process_table"))
    connection.execute(update(schema.ledger).values(version=2))


def test_a_living_process_of_an_older_version_keeps_its_claims(settings: Settings, ledger: Ledger) -> None:
    """A version 2 process that registered before the upgrade, or after it, counts as alive while it is seen."""
    database_of(settings).run(make_older)
    seen_at = "extract(epoch from clock_timestamp())" if settings.ledger else f"{schema.SQLITE_CLOCK}()"
    row = "INSERT INTO callers (name, who, host, pid, started, seen_at) VALUES (:name, 'a task', :host, 1, 0, {})"

    def register(connection: Connection, name: str) -> None:
        values = {"name": name, "host": socket.gethostname()}
        connection.execute(text(row.format(seen_at)), values)
        connection.execute(schema.claims.insert().values(gen_id=f"v_{name}", caller=name))

    database_of(settings).run(lambda connection: register(connection, "before"))
    forget_connections()
    again = Ledger.of(settings)
    database_of(settings).run(lambda connection: register(connection, "after"))
    with again.caller("a newer one") as caller:
        assert again.claim(caller, ["v_before", "v_after", "v_free"]) == {"v_free"}


def test_a_reader_makes_and_migrates_nothing(settings: Settings, ledger: Ledger) -> None:
    """Reading finds nothing without a ledger of today's version, and leaves what there is as it is."""
    ledger.announce(FIRST, ["v_1"])
    database_of(settings).run(make_older)
    forget_connections()
    assert Ledger.for_reading(settings).unsettled() == []
    version = select(schema.ledger.c.version)
    plain = create_engine(settings.ledger or f"sqlite:///{settings.data_root / FOLDER / 'ledger.sqlite'}")
    with plain.connect() as connection:
        assert connection.execute(version).scalar_one() == 2
    shutil.rmtree(settings.data_root / FOLDER)
    forget_connections()
    assert Ledger.for_reading(settings).unsettled() == []
    assert list(settings.data_root.iterdir()) == []


def test_a_ledger_belongs_to_one_data_root(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    """Two data roots in one ledger would mix cohorts of the same id."""
    other = tmp_path / "other"
    other.mkdir()
    if not settings.ledger:
        shutil.copytree(settings.data_root / FOLDER, other / FOLDER)
        (other / FOLDER / "data_root.txt").write_text("another\n")
    with pytest.raises(BadInput, match="belongs to another data root"):
        Ledger.of(Settings(data_root=other, ledger=settings.ledger))


def test_a_data_root_can_be_moved(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    """The ledger knows its data root by a token in the data root, not by a path."""
    ledger.announce(FIRST, ["v_1"])
    moved = settings.data_root.rename(tmp_path / "moved")
    again = Ledger.of(Settings(data_root=moved, ledger=settings.ledger))
    assert again.announce(Announcement(cohort_id="c", run_key="run-2", task="todo-0"), ["v_1"]) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("nonsense:secret", "not the URL of a database", id="no URL"),
        pytest.param("mysql://u:secret@h/d", "", id="another database"),
        pytest.param("sqlite:////tmp/x.sqlite", "sqlite is not a database that the ledger can use", id="a file"),
        pytest.param("postgresql+nodriver://u:secret@h/d", "not the URL", id="another driver"),
        pytest.param("postgresql+psycopg://u:secret@h:port/d", "not the URL", id="a port in words"),
    ],
)
def test_a_wrong_url(tmp_path: Path, url: str, message: str) -> None:
    """The error names DD_LEDGER and the form of a right URL, and never shows a password."""
    with pytest.raises(BadInput, match="environment: DD_LEDGER") as caught:
        Ledger.of(Settings(data_root=tmp_path, ledger=url))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_refuses_the_user(tmp_path: Path, postgresql: PostgreSQL) -> None:
    """A user or database that does not exist is an error at once, without the password."""
    url = postgresql.new_database().rsplit("/", 1)[0] + "/nowhere"
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"The ledger .*nowhere cannot be reached: .*does not exist") as caught:
        Ledger.of(Settings(data_root=tmp_path, ledger=url))
    assert "secret" not in str(caught.value)
    assert time.monotonic() - began < 10


def test_a_server_that_is_away_for_a_moment(
    tmp_path: Path, postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server restarts after a crash, transactions wait for it and then succeed."""
    caplog.set_level(logging.WARNING, logger="essay_cohorts")
    ledger = Ledger.of(Settings(data_root=tmp_path, ledger=postgresql.new_database()))
    assert ledger.announce(FIRST, ["v_1"]) == ["v_1"]
    postgresql.kill()
    restart = threading.Timer(2.0, postgresql.start)
    restart.start()
    assert ledger.announce(FIRST, ["v_1", "v_2"]) == ["v_1", "v_2"]
    restart.join()
    assert sum("failed: Connection refused. Trying for 60 s" in message for message in caplog.messages) == 1
    assert not any("secret" in message for message in caplog.messages)


def test_a_server_that_stays_away(tmp_path: Path, postgresql: PostgreSQL) -> None:
    """After its patience has ended, the ledger says what to check."""
    settings = Settings(data_root=tmp_path, ledger=postgresql.new_database())
    database = database_of(settings)
    impatient = Database(database._engine, database.place, patience_s=0.5)
    postgresql.stop()
    try:
        with pytest.raises(StoreError, match="Check that the server runs and that DD_LEDGER is right"):
            Ledger(impatient).announce(FIRST, ["v_1"])
    finally:
        postgresql.start()


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    """A damaged file is an error that names it, not a traceback."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "ledger.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"ledger.sqlite cannot be written: file is not a database"):
        Ledger.of(Settings(data_root=tmp_path))


def test_a_folder_that_leads_out_of_the_data_root(tmp_path: Path) -> None:
    """Nothing is written through a symbolic link."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / FOLDER).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="leads out of the data root"):
        Ledger.of(Settings(data_root=root))
    assert list(elsewhere.iterdir()) == []
