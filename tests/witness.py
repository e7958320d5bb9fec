"""Builds a trigger and writes down what the run of each stage uses, and what its key is made from.

Python tells of each file that is opened, each program that is started, and the source of each function that runs; the
tables of trigger.toml tell of each of their keys that is read. Then each key that a stage's run has read is changed.

Its arguments: the trigger, the folder for the build, the file for what was seen.
"""

import collections
import contextlib
import functools
import gc
import json
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import get_args

from trigger import TriggerError
from trigger.artifacts.folder import Build
from trigger.spec.spec import load
from trigger.spec.tables import Section
from trigger.workflow import build as building
from trigger.workflow.stages import STAGES, Stage

_PATH = re.compile(r"/[^\s:;,=\"']+")


class Witness:
    """``files`` by stage and phase, "key" or "run", and ``read``, the keys of trigger.toml that a run has read."""

    def __init__(self):
        self.files = collections.defaultdict(lambda: {"key": set(), "run": set()})
        self.read = collections.defaultdict(set)
        self._files, self._read = None, None
        sys.addaudithook(self._audit)
        real = Section.__getattribute__

        def get(table, name):
            if self._read is not None and name in type(table).model_fields:
                self._read.add((type(table).__name__, name))
            return real(table, name)

        Section.__getattribute__ = get

    @contextlib.contextmanager
    def watching(self, stage, phase):
        before = self._files, self._read
        self._files = self.files[stage][phase]
        self._read = self.read[stage] if phase == "run" else None
        sys.settrace(self._called)
        threading.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self._files, self._read = before

    def _called(self, frame, event, argument):
        if self._files is not None:
            self._files.add(frame.f_code.co_filename)

    def _audit(self, event, arguments):
        if self._files is None:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            if not isinstance(arguments[1], str) or "r" in arguments[1]:
                self._files.add(str(Path(_text(arguments[0])).absolute()))
        elif event == "subprocess.Popen":
            for word in (arguments[0], *arguments[1]):
                self._files.update(_PATH.findall(_text(word or "")))


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)


def forget():
    """Empty the caches of this program: what was read once is read again by each stage."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper):
            module = found.__module__ or ""
            if module.startswith("trigger.") and module != "trigger.support.compiled":
                found.cache_clear()


def unnoticed(stage, build, read):
    """The keys of trigger.toml that may be changed without a change of the stage's key."""
    before = stage.key(build)
    found = []
    for table, name in sorted(read):
        for changed in changes(build.spec, table, name):
            # A value that the key cannot be made with is noticed as well.
            with contextlib.suppress(TriggerError, ValueError, TypeError, AttributeError, KeyError):
                if stage.key(build._replace(spec=changed)) == before:
                    found.append(f"{table}.{name}")
    return found


def changes(spec, table, name):
    """The spec with other values of one key, for each table of that kind."""
    if type(spec).__name__ == table and not isinstance(getattr(spec, name), Section):
        options = get_args(type(spec).model_fields[name].annotation)
        options = [option for option in options if option is not type(None)]
        choices = [choice for option in options for choice in get_args(option) or (option,)]
        for value in others(getattr(spec, name), choices):
            yield spec.model_copy(update={name: value})
    for inner in type(spec).model_fields:
        value = getattr(spec, inner)
        if isinstance(value, Section):
            for changed in changes(value, table, name):
                yield spec.model_copy(update={inner: changed})


def others(value, choices):
    match value:
        case str() if value in choices:
            return [choice for choice in choices if choice != value]
        case bool() | None:
            return [not value]
        case int() | float():
            return [value + 1]
        case str():
            return [f"{value}_"]
        case list():
            return [value[::-1] if len(value) > 1 else [*value, "a"]]
        case dict():
            return [{f"{key}_": inner for key, inner in value.items()}] if value else []
    return []


def main(source, output, record):
    witness, key, taken = Witness(), Stage.key, {}

    def watched_key(stage, build):
        with witness.watching(stage.name, "key"):
            return key(stage, build)

    def watched(stage):
        def run(build, folder):
            forget()
            read = json.dumps(stage.reads(build))
            taken[stage.name] = [name for name, digest in build.digests.items() if digest in read]
            with witness.watching(stage.name, "run"):
                stage.run(build, folder)

        return stage._replace(run=run)

    Stage.key = watched_key
    building.STAGES = tuple(map(watched, STAGES))
    root = building.build(str(source), output)
    Stage.key = key
    warnings.simplefilter("ignore")  # values that no table would take
    build = building.open_build(root)
    build = Build(load(source / "trigger.toml"), source, root, build.digests)
    seen = {
        stage.name: {
            **{phase: sorted(files) for phase, files in witness.files[stage.name].items()},
            "taken": taken[stage.name],
            "unnoticed": unnoticed(stage, build, witness.read[stage.name]),
        }
        for stage in STAGES
    }
    record.write_text(json.dumps(seen))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
