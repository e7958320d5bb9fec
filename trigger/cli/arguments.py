"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

BuildFolder = Annotated[Path, typer.Argument(help="A build folder, such as build/jet_tagger.")]
