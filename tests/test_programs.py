"""Programs that this one runs: how they end, and that nothing that they have started is left behind."""

import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import trigger
from trigger.errors import TriggerError
from trigger.support import process

# A program with a child in its session and another in one of its own; it writes the pids of all three.
FAMILY = """
import os, subprocess, sys
sleeping = [sys.executable, "-S", "-c", "import time; time.sleep(100)"]
children = [subprocess.Popen(sleeping), subprocess.Popen(sleeping, start_new_session=True)]
with open("pids.new", "w") as file:
    print(os.getpid(), *(child.pid for child in children), file=file)
os.rename("pids.new", "pids")
"""
RUNS = "children[0].wait()"


def family(folder, then=RUNS):
    return {"command": [sys.executable, "-S", "-c", FAMILY + then], "cwd": folder}


def pids(folder) -> list[int]:
    waits_for((folder / "pids").exists)
    return list(map(int, (folder / "pids").read_text().split()))


def runs(pid) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def waits_for(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def all_ended(folder):
    found = pids(folder)
    waits_for(lambda: not any(map(runs, found)))


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("print(input())", 0, "status 0"),
        ("import sys; sys.exit(3)", 3, "status 3"),
        ("import os; os.abort()", -signal.SIGABRT, "Aborted (SIGABRT)"),
        (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9)); open('x', 'wb').write(bytes(99))",
            -signal.SIGXFSZ,
            "File size limit exceeded (SIGXFSZ)",
        ),
    ],
)
def test_how_a_program_ends(tmp_path, code, status, words):
    found = process.finish([sys.executable, "-S", "-c", code], "read\n", cwd=tmp_path)
    assert found.returncode == status and process.ending(status) == words
    assert found.stdout == ("read\n" if status == 0 else "")


def test_a_program_that_cannot_be_started(tmp_path):
    with pytest.raises(FileNotFoundError):
        process.finish([str(tmp_path / "none")])
    (tmp_path / "g++").write_text("")
    (tmp_path / "g++").chmod(0o755)
    with pytest.raises(TriggerError) as error:
        process.run_program([str(tmp_path / "g++")], TriggerError)
    assert str(error.value) == "g++ cannot be started: Exec format error"


def test_what_a_program_leaves_behind_ends_with_it(tmp_path):
    assert process.finish(**family(tmp_path, "")).returncode == 0
    all_ended(tmp_path)


def test_a_program_that_takes_too_long(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        process.finish(**family(tmp_path), timeout_s=0.5)
    all_ended(tmp_path)


def test_an_exception_ends_what_runs_beside_it(tmp_path):
    def interrupted():
        pids(tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.together([interrupted, partial(process.finish, **family(tmp_path))])
    all_ended(tmp_path)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
def test_however_this_process_ends(tmp_path, how):
    code = (
        # What runs the tests may ignore these signals, as nohup does.
        "import signal; [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGHUP, signal.SIGTERM)]\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from trigger.support import process; import typer; app = typer.Typer()\n"
        "@app.command()\ndef build(): process.finish(**FAMILY)\n"
        "import trigger.cli.app; trigger.cli.app.app = app; trigger.cli.app.main()"
    ).replace("FAMILY", repr({**family(tmp_path), "cwd": str(tmp_path)}))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        pids(tmp_path)
        process.send_signal(getattr(signal, how))
        said = process.stderr.read().decode()
    all_ended(tmp_path)
    assert (process.returncode, said) == {
        "SIGTERM": (143, "trigger: ended by SIGTERM\n"),
        "SIGHUP": (129, "trigger: ended by SIGHUP\n"),
        "SIGINT": (130, "trigger: interrupted\n"),
        "SIGKILL": (-9, ""),
    }[how]


def test_every_program_is_run_by_this_module():
    starts = re.compile(
        r"subprocess\.(run|Popen|call|check_\w+)\(|os\.(system|popen|fork|exec|spawn)"
    )
    package = Path(trigger.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if starts.search(path.read_text())
    }
    assert found == {"support/process.py"}


def test_a_worker_of_a_pool_ends_with_its_parent(tmp_path):
    code = (
        "from concurrent.futures import ProcessPoolExecutor; import os, time, sys\n"
        "from trigger.support.process import end_with_parent\n"
        "def work():\n    open('pids.new', 'w').write(str(os.getpid())); os.rename('pids.new', 'pids')\n"
        "    time.sleep(100)\n"
        "with ProcessPoolExecutor(1, initializer=end_with_parent) as pool: pool.submit(work).result()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as process:
        pids(tmp_path)
        process.kill()
    all_ended(tmp_path)
