"""``trigger new``: a new folder from a zoo trigger."""

import shutil
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

import tomlkit

from trigger.errors import TriggerError
from trigger.spec import spec as specification
from trigger.support.names import identifier
from trigger.support.resources import folder as shipped
from trigger.support.user_code import user_files


def create(folder: Path, like: str) -> None:
    """Copy a zoo trigger into a new folder and rename it. Raises TriggerError if the folder
    exists.
    """
    source = specification.find(like).parent
    name = folder.resolve().name
    try:
        identifier(name)
    except ValueError as error:
        raise TriggerError(str(error)) from error
    if folder.exists() or folder.is_symlink():
        raise TriggerError(f"{folder}: already exists; name another folder")
    original = specification.load(source / specification.FILE_NAME)
    text = (source / specification.FILE_NAME).read_text(encoding="utf-8")
    document: Any = tomlkit.parse(specification.without_warm_start(text))
    document["name"] = name
    model = document["model"]
    files = document["data"]["files"]
    moved = {item: _inside(item) for item in (*_model_files(original).values(), *files)}
    for item in moved:
        if not (source / item).is_file():
            raise TriggerError(f"{source / item}: no such file")
    moved |= _helpers(original, source)
    twice = [name for name, count in Counter(moved.values()).items() if count > 1]
    if twice:
        raise TriggerError(f"{source}: two files would be {twice[0]!r} in {folder}; rename one")
    for key, item in _model_files(original).items():
        model[key] = moved[item]
    for number, item in enumerate(original.data.files):
        files[number] = moved[item]
    folder.mkdir(parents=True)
    for item, inside in moved.items():
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / item, folder / inside)
    (folder / specification.FILE_NAME).write_text(tomlkit.dumps(document), encoding="utf-8")
    template = (shipped("models") / "README.template.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(
        template.format(name=name, like=original.name), encoding="utf-8"
    )


def _model_files(spec: specification.Spec) -> dict[str, str]:
    """The files of the network by their keys of [model]."""
    keys = ("file",) if spec.model.function is not None else ("network", "weights")
    names = {key: getattr(spec.model, key) for key in keys}
    return {key: name for key, name in names.items() if name}


def _helpers(spec: specification.Spec, source: Path) -> dict[str, str]:
    """The modules beside the file of the network that it imports, and their paths in the new
    folder. Those elsewhere are on Python's own search path, and are found from there.
    """
    if spec.model.function is None:
        return {}
    file = source / spec.model.file
    here = PurePath(_inside(spec.model.file)).parent
    return {
        str(helper): (here / helper.relative_to(file.parent)).as_posix()
        for helper in user_files(file)
        if helper != file and helper.is_relative_to(file.parent)
    }


def _inside(item: str) -> str:
    """The path of a file in the new folder; files outside the old one, which zoo triggers share,
    move into it.
    """
    path = PurePath(item)
    return path.name if path.is_absolute() or ".." in path.parts else item
