"""The package of benchmarks/regions as pip would leave it."""

import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "regions"


def install(home: Path) -> list[str]:
    """Its metadata in a folder; the folders that belong on the path."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    about = home / "calo_regions-0.1.0.dist-info"
    about.mkdir(parents=True)
    required = "".join(f"Requires-Dist: {each}\n" for each in project["dependencies"])
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{required}"
    )
    entries = project["entry-points"]["trigger.events"].items()
    lines = [f"{name} = {value}\n" for name, value in entries]
    (about / "entry_points.txt").write_text("[trigger.events]\n" + "".join(lines))
    return [str(FOLDER), str(home)]
