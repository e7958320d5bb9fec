"""The files of the network of a spec, and the modules of this program that they use."""

import os
from pathlib import Path

from trigger.spec.spec import Spec
from trigger.spec.tables import check_named
from trigger.support.code import modules_of
from trigger.support.digest import file_digest
from trigger.support.user_code import program_names, user_files


def file_digests(spec: Spec, source: Path) -> dict[str, str]:
    """SHA-256 of each file that the network comes from, by its path from ``source``, the folder of
    trigger.toml.

    With the model's file count those that it imports of the user's own. Raises TriggerError for one
    that cannot be read.
    """
    named = {name: source / name for name in spec.model_files}
    for path in named.values():
        check_named(path, "[model]")
    imported = {
        Path(os.path.relpath(file, source)).as_posix(): file
        for name in _python(spec)
        for file in user_files(source / name)
        if file != source / name
    }
    return {name: file_digest(file) for name, file in {**named, **imported}.items()}


def program_modules(spec: Spec, source: Path) -> list[str]:
    """The modules of this program that the user's model imports, such as "trigger.quantizers"."""
    return modules_of(module for name in _python(spec) for module in program_names(source / name))


def _python(spec: Spec) -> list[str]:
    return [spec.model.file] if spec.model.function is not None else []
