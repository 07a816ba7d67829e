"""Supervised processes end when their owner ends in any way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from devtools.errors import HomeInUseError, StartError
from devtools.supervision import processes
from devtools.supervision.supervised_processes import PACKAGE_ROOT, SupervisedProcesses
from devtools.supervision.supervisor import STEADY_S, Command

SLEEPER = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)")
# Two generations, the second of which leaves its parent, its session and its process group.
FAMILY = (
    sys.executable,
    "-c",
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\ntime.sleep(600)",
)
OWNER = """
import json, sys, time
from pathlib import Path
from devtools.supervision.supervised_processes import SupervisedProcesses
from devtools.supervision.supervisor import STEADY_S, Command
home, argv = Path(sys.argv[1]), tuple(json.loads(sys.argv[2]))
command = Command(name="child", argv=argv, log=str(home / "child.log"))
running = SupervisedProcesses(home=home, directory=home, environment={}, commands=(command,), label="a test")
running.start()
while not running.pids:
    running.check()
    time.sleep(0.01)
time.sleep(0.5)
print(running.supervisor_pid, flush=True)
time.sleep(600)
"""


def supervised(home: Path, *commands: Command) -> SupervisedProcesses:
    return SupervisedProcesses(home=home, directory=home, environment={}, commands=commands, label="a test")


def command(home: Path, argv: tuple[str, ...] = SLEEPER, name: str = "child", *, first: bool = False) -> Command:
    return Command(name=name, argv=argv, log=str(home / f"{name}.log"), first=first)


def until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def checked(running: SupervisedProcesses) -> SupervisedProcesses:
    running.check()
    return running


def started(running: SupervisedProcesses, name: str = "child") -> SupervisedProcesses:
    running.start()
    until(lambda: name in checked(running).pids)
    return running


def test_stop_ends_everything(tmp_path: Path) -> None:
    """After `stop` the child has ended, and a second `stop` does nothing."""
    running = started(supervised(tmp_path, command(tmp_path)))
    child = psutil.Process(running.pids["child"])
    running.stop()
    running.stop()
    assert not child.is_running()


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=["KILL", "TERM", "HUP", "INT"]
)
def test_the_end_of_the_owner_ends_the_whole_family(tmp_path: Path, number: signal.Signals) -> None:
    """When any signal ends the owner, its children end soon, even those that left their parent and session."""
    argv = [sys.executable, "-c", OWNER, str(tmp_path), json.dumps(FAMILY)]
    owner = subprocess.Popen(argv, cwd=PACKAGE_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert owner.stdout is not None
    supervisor = int(owner.stdout.readline())
    family = [psutil.Process(supervisor), *processes.descendants(supervisor)]
    assert len(family) == 3
    owner.send_signal(number)
    owner.wait()
    until(lambda: not any(processes.is_alive(process) for process in family))


def test_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    """When the supervisor itself is killed, `check` says so and `stop` ends the processes that it left."""
    running = started(supervised(tmp_path, command(tmp_path)))
    child = psutil.Process(running.pids["child"])
    assert running.supervisor_pid is not None
    os.kill(running.supervisor_pid, signal.SIGKILL)
    with pytest.raises(StartError, match="supervisor ended"):
        until(running.check)
    running.stop()
    assert not processes.is_alive(child)


def test_a_process_that_ends_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    """The error has the process, its exit code, and the name and the last lines of its log file."""
    running = supervised(tmp_path, command(tmp_path, (sys.executable, "-c", "raise SystemExit('no such table')")))
    running.start()
    try:
        with pytest.raises(StartError, match=rf"(?s)child ended with code 1.*{tmp_path}/child.log.*no such table"):
            until(running.check)
    finally:
        running.stop()


def test_a_command_that_ends_right_after_its_start_is_not_restarted(tmp_path: Path) -> None:
    """A command with `restart` that ends at once is broken, so its end is an error as without `restart`."""
    argv = (sys.executable, "-c", "raise SystemExit('no such table')")
    running = supervised(tmp_path, Command(name="child", argv=argv, log=str(tmp_path / "child.log"), restart=True))
    running.start()
    try:
        with pytest.raises(StartError, match=r"(?s)child ended with code 1.*no such table"):
            until(running.check)
    finally:
        running.stop()


def test_a_killed_command_is_restarted_without_its_children(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A killed command with `restart` is started again with a message; its children end and its log is kept."""
    argv = (sys.executable, "-c", "import os, time\nos.fork()\nprint('here', flush=True)\ntime.sleep(600)")
    log = tmp_path / "child.log"
    running = started(supervised(tmp_path, Command(name="child", argv=argv, log=str(log), restart=True)))
    try:
        first = psutil.Process(running.pids["child"])
        time.sleep(STEADY_S)
        (orphan,) = first.children()
        first.kill()
        until(lambda: checked(running).pids["child"] != first.pid)
        assert not processes.is_alive(orphan)
        assert processes.is_alive(psutil.Process(running.pids["child"]))
        until(lambda: log.read_text() == 4 * "here\n")
        assert f"child ended with code -9; it is started again. Log: {log}\n" in capfd.readouterr().err
    finally:
        running.stop()


def test_a_first_command_ends_before_the_others_start(tmp_path: Path) -> None:
    """A command with `first` may end with code 0, and the next command starts after its end."""
    note = tmp_path / "note"
    first = command(tmp_path, ("/bin/sh", "-c", f"sleep 0.3; echo done > {note}"), "first", first=True)
    running = started(supervised(tmp_path, first, command(tmp_path)))
    assert note.read_text() == "done\n"
    running.stop()


def test_a_home_has_one_supervisor_at_a_time(tmp_path: Path) -> None:
    """A second supervisor in the same home is refused at once with a sentence, and may start after `stop`."""
    running = started(supervised(tmp_path, command(tmp_path)))
    second = supervised(tmp_path, command(tmp_path))
    second.start()
    with pytest.raises(HomeInUseError, match=rf"in use by process {os.getpid()}, a test"):
        until(second.check)
    second.stop()
    running.stop()
    started(supervised(tmp_path, command(tmp_path))).stop()


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    """After the grace time SIGKILL ends a process that SIGTERM did not end."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    stubborn = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    process = psutil.Process(stubborn.pid)
    left = processes.end_all(lambda: [process] if processes.is_alive(process) else [], grace_s=0.3)
    assert (left, stubborn.wait()) == ([], -signal.SIGKILL)
