"""The long description of the package: README.md without its links to files of the repository."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK_TO_FILE = re.compile(r"\[([^][]*)\]\((?!https?:)[^()\s]*\)")


class Readme(MetadataHookInterface):
    """Sets ``project.readme``. A relative link would lead nowhere on a package index."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read README.md beside pyproject.toml; keep the text of each removed link."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = _LINK_TO_FILE.sub(r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
