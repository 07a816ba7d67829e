"""The parts of `make cluster` by themselves: servers that start and end, and hosts of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devtools.cluster.hosts import on_host, own_hosts_permitted
from devtools.cluster.postgresql import PostgreSQL, let_others_pass
from devtools.cluster.redis import Redis
from devtools.errors import StartError


@pytest.mark.cluster
def test_redis_keeps_its_queue_over_a_kill(tmp_path: Path) -> None:
    """A killed server starts again on its port, with what was in its lists."""
    with Redis(tmp_path / "redis") as server:
        command = ["redis-cli", "-p", str(server.port)]
        subprocess.run([*command, "LPUSH", "queue", "a task"], check=True, capture_output=True)
        subprocess.run([*command, "WAITAOF", "1", "0", "1000"], check=False, capture_output=True)
        server.kill()
        assert not server.is_ready()
        server.start()
        found = subprocess.run([*command, "LLEN", "queue"], check=True, capture_output=True, text=True)
        assert found.stdout.strip() == "1"
    assert not server.is_ready()


@pytest.mark.postgresql
def test_postgresql_answers_in_a_folder_with_a_long_path(tmp_path: Path) -> None:
    """A path that is too long for a socket does not matter; a new database has a URL."""
    folder = let_others_pass(tmp_path) / ("long-" * 20)
    with PostgreSQL(folder) as server:
        assert server.new_database("mine") == f"postgresql+psycopg://cluster:secret@127.0.0.1:{server.port}/mine"


@pytest.mark.postgresql
@pytest.mark.skipif(os.getuid() != 0, reason="only root runs PostgreSQL as another user")
def test_a_folder_that_postgresql_cannot_reach(tmp_path: Path) -> None:
    """The error names the folder that is closed and what to set; no folder is opened to others."""
    (tmp_path / "closed").mkdir(mode=0o700)
    mode = (tmp_path / "closed").stat().st_mode
    with pytest.raises(StartError, match=r"may not pass .*\. Next: set TMPDIR=/tmp"):
        PostgreSQL(tmp_path / "closed" / "server")
    assert (tmp_path / "closed").stat().st_mode == mode


@pytest.mark.parametrize("server", [Redis, PostgreSQL], ids=["redis", "postgresql"])
def test_a_program_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: type[Redis | PostgreSQL]
) -> None:
    """The error says which package to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("devtools.cluster.postgresql._DEBIAN", tmp_path / "none")
    with pytest.raises(StartError, match=r"is not installed\. Next: sudo apt-get install"):
        server(let_others_pass(tmp_path) / server.name).argv()


@pytest.mark.skipif(not own_hosts_permitted(), reason="this user may not give hosts of their own")
def test_a_host_has_a_name_and_process_ids_of_its_own() -> None:
    """A command on a host sees the host's name and itself as a process of few."""
    done = subprocess.run(
        on_host("node-7", "sh", "-c", "hostname; echo $$"), capture_output=True, text=True, check=True
    )
    name, pid = done.stdout.split()
    assert name == "node-7"
    assert int(pid) < 10
