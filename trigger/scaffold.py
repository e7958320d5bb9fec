"""``trigger new``: a folder of one's own, from one of the zoo."""

import shutil
from pathlib import Path

from trigger import spec as specification
from trigger.errors import TriggerError
from trigger.naming import identifier
from trigger.resources import folder as shipped


def create(folder: Path, like: str) -> None:
    """Copy a zoo trigger into a new folder under the folder's own name. Raises TriggerError where something is there."""
    source = specification.find(like).parent
    name = folder.resolve().name
    try:
        identifier(name)
    except ValueError as error:
        raise TriggerError(str(error)) from error
    if folder.exists():
        raise TriggerError(f"{folder}: exists already")
    original = specification.load(source / specification.FILE_NAME)
    folder.mkdir(parents=True)
    text = specification.without_warm_start(
        (source / specification.FILE_NAME).read_text(encoding="utf-8")
    )
    for item in (original.model.file, *original.data.files):
        inside = (
            Path(item).name if item.startswith("../") else item
        )  # what several of the zoo share
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / item, folder / inside)
        text = text.replace(f'"{item}"', f'"{inside}"')
    renamed = text.replace(f'name = "{original.name}"', f'name = "{name}"', 1)
    (folder / specification.FILE_NAME).write_text(renamed, encoding="utf-8")
    template = (shipped("models") / "README.template.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text(
        template.format(name=name, like=original.name), encoding="utf-8"
    )
