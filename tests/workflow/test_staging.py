"""A build that fails, or is killed, at any point leaves the old build whole, or one that every
command refuses.
"""

import errno
import os
import shutil
import sys
from types import SimpleNamespace

import pytest
from conftest import write_small_trigger

from trigger import TriggerError
from trigger.workflow.build import build, open_build, open_sealed
from trigger.workflow.prove import EVERYTHING
from trigger.workflow.stages import STAGES as ALL_STAGES

STAGES = [stage for stage in ALL_STAGES if stage.name not in ("firmware", "rtl", "synthesis")]
# Those of a spec without optional tables.
ALWAYS = [
    stage.name for stage in STAGES if stage.name not in ("shifts", "cross_validation", "payload")
]
_CHANGES = ("rename", "replace", "mkdir", "unlink", "rmdir", "link", "open")


class Killed(BaseException):
    """Nothing is done after it, as after kill -9."""


class Faults:
    """The n-th change of the file system fails: ``full`` as on a full disk, else this change and
    all that follow.

    ``count`` counts them where n is None.
    """

    def __init__(self, monkeypatch, n=None, full=False):
        self.count = 0
        for name in _CHANGES:
            monkeypatch.setattr(os, name, self._faulty(getattr(os, name), n, full))

    def _faulty(self, real, n, full):
        def call(*arguments, **options):
            writes = real.__name__ != "open" or arguments[1] & os.O_CREAT
            if writes:
                self.count += 1
                if full and self.count == n:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")
                if n is not None and self.count >= n and not full:
                    raise Killed
            return real(*arguments, **options)

        return call


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The small trigger with stages that write its description into each of their folders, and the
    stages that ran.
    """
    source, ran = write_small_trigger(tmp_path / "trigger"), []

    def stage(real):
        def run(this, folder):
            ran.append(real.name)
            (folder / "made").write_text(this.spec.description)
            for name, text in CONTENT.get(real.name, {}).items():
                (folder / name).write_text(text)

        return real._replace(
            reads=lambda this: {"description": this.spec.description}, run=run, code=(), data=()
        )

    monkeypatch.setattr("trigger.workflow.build.STAGES", tuple(map(stage, STAGES)))
    exact = SimpleNamespace(headline=SimpleNamespace(kind="exact"), budgets=[], unusable=False)
    monkeypatch.setattr("trigger.workflow.build.outcome", lambda this: exact)
    monkeypatch.setattr("trigger.workflow.build.summary", lambda this, found: "exact")
    return source, tmp_path / "build", ran


CONTENT = {
    "events": {"summary.json": '{"files": {}}'},
    "model": {"network.keras": ""},
    "graph": {"summary.json": '{"families": {"test events": 1}}', "graph.json": "{}"},
    "verification": {"results.json": '{"equal": true}'},
}


def describe(source, text, more=""):
    path = source / "trigger.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("description")]
    path.write_text(f'description = "{text}"\n' + "\n".join(lines) + more)


def made(root) -> set[str]:
    """What the parts of a build say they were made of."""
    texts = {(root / s.name / "made").read_text() for s in STAGES if (root / s.name).exists()}
    return texts | {open_build(root).spec.description}


def names(root) -> set[str]:
    return {path.name for path in root.iterdir()}


def changes(world, monkeypatch) -> int:
    source, output, _ = world
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        build(str(source), output)
    return faults.count


@pytest.mark.parametrize("first", [True, False], ids=["first build", "second build"])
def test_killed_anywhere(world, monkeypatch, first):
    source, output, ran = world
    root, saved = output / "small", output.with_name("saved")
    if not first:
        describe(
            source, "old", "\n[decision.accept.x]\noutput = 'signal'\nthreshold = 0.5\n[payload]\n"
        )
        build(str(source), output)
        write_small_trigger(source)
        shutil.copytree(output, saved)
    describe(source, "new")
    total = changes(world, monkeypatch)
    refused = 0
    for n in range(1, total + 1):
        shutil.rmtree(output)
        if not first:
            shutil.copytree(saved, output)
        with monkeypatch.context() as patch:
            Faults(patch, n)
            with pytest.raises(Killed):
                build(str(source), output)
        ran.clear()
        try:
            open_sealed(root, EVERYTHING)
        except TriggerError as error:
            refused += 1
            text = "holds no finished build; run `trigger build` first"
            if root.is_dir() and {".next", ".ready"} & names(root):
                text = "the build is incomplete; run `trigger build` again"
            assert str(error) == f"{root}: {text}"
        else:
            assert made(root) in ({"old"}, {"new"})
        build(str(source), output)
        open_sealed(root, EVERYTHING)
        assert made(root) == {"new"}
        assert names(root) == {".lock", *PARTS}
    assert total > 60 and refused > (50 if first else 5)


def test_a_disk_that_is_full_at_any_point(world, monkeypatch):
    source, output, _ = world
    root, saved = output / "small", output.with_name("saved")
    describe(source, "old")
    build(str(source), output)
    shutil.copytree(output, saved)
    describe(source, "new")
    kept = 0
    for n in range(1, changes(world, monkeypatch) + 1):
        shutil.rmtree(output)
        shutil.copytree(saved, output)
        failed = None
        with monkeypatch.context() as patch:
            Faults(patch, n, full=True)
            try:
                build(str(source), output)
            except TriggerError as error:
                failed = str(error)
        if failed == "x: No space left on device. The last finished build is kept.":
            kept += 1
            open_sealed(root, EVERYTHING)
            assert made(root) in ({"old"}, {"new"})
        else:
            assert failed in (None, "x: No space left on device.")
        build(str(source), output)
        assert made(root) == {"new"}
    assert kept > 25


PARTS = [
    *ALWAYS,
    "manifest.json",
    "seconds.json",
    "made.html",
    "stages.json",
    "trigger.toml",
]


def test_what_an_interrupted_build_finished_is_not_made_again(world, monkeypatch):
    source, output, ran = world
    describe(source, "old")
    build(str(source), output)
    describe(source, "new")
    ran.clear()
    with monkeypatch.context() as patch:
        stages = sys.modules["trigger.workflow.build"].STAGES
        patch.setattr(
            "trigger.workflow.build.STAGES", (*stages[:-1], stages[-1]._replace(run=fail))
        )
        with pytest.raises(RuntimeError):
            build(str(source), output)
    assert made(output / "small") == {"old"}
    build(str(source), output)
    assert ran == ALWAYS
    assert made(output / "small") == {"new"}


def fail(this, folder):
    raise RuntimeError("as a bug would")
