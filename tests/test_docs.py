"""The pages of docs/: each file they show is written, each command and script run, in order, in one folder."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import warm
import yaml

import trigger

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
MARKDOWN = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            path
            for folder in (".github", "benchmarks", "docs", "firmware", "models")
            for path in (ROOT / folder).rglob("*.md")
        ),
    ]
)
HOW_TO = (
    "new-weights",
    "own-data",
    "onnx",
    "own-network",
    "payload",
    "rates",
    "search",
    "small-network",
    "trees",
    "vendor-tools",
)
# Their commands start as a user's do; those of the other pages have Keras already.
COLD = ("tutorial.md", "coming-from/hgq2.md")
COMING_FROM = ("hls4ml", "conifer")
PAGES = (
    *COLD,
    "reference/layers.md",
    *(f"coming-from/{name}.md" for name in COMING_FROM),
    *(f"how-to/{name}.md" for name in HOW_TO),
)

pytestmark = pytest.mark.minutes


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_works(page, tmp_path):
    programs = Path(sys.executable).parent if page in COLD else warm.commands()
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    env.pop("XLA_FLAGS", None)  # trained as users do
    found = blocks(page)
    assert found
    missing = set()
    for language, text in found:
        first, _, rest = text.partition("\n")
        file = re.fullmatch(r"# (\S+\.\w+)", first)
        if file:
            assert (tmp_path / file[1]).parent.is_dir()
            (tmp_path / file[1]).write_text(rest)
            continue
        needed = re.fullmatch(r"# needs (\w+)", first)
        if needed and importlib.util.find_spec(needed[1]) is None:
            missing.add(needed[1])
            continue
        status = re.fullmatch(r"# exit status (\d)", first)
        if language not in ("sh", "python"):
            continue
        command = {"sh": ["sh", "-e"], "python": [programs / "python"]}[language]
        result = subprocess.run(
            [*command, "-c", text],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == (int(status[1]) if status else 0), (
            f"{text}\n{result.stdout}\n{result.stderr}"
        )
        assert "Traceback" not in result.stderr
    if missing:
        pytest.skip(
            f"blocks that need {', '.join(missing)}, which is not installed; the rest works"
        )


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    commands = (tmp_path / "reference" / "cli.html").read_text()
    names = "build search verify rates synth report show compare new list doctor events-jets export-emulator"
    names += (
        " events-level1 events-regions events-higgs events-htautau events-tracks events-jet-energy"
    )
    names += (
        " export-onnx export-qonnx export-payload export-weights patterns-write patterns-compare"
    )
    for command in names.split():
        assert f'id="trigger-{command}"' in commands, command
    gallery = (tmp_path / "zoo.html").read_text()
    for card in (ROOT / "models").glob("*/README.md"):
        name = card.parent.name
        assert f'href="cards/{name}.html"' in gallery, name
        page = (tmp_path / "cards" / f"{name}.html").read_text()
        assert f'<h1 class="title">{name}</h1>' in page
        inside = page[page.index("<h1") : page.index("</article>")]
        for target in re.findall(r'href="([^":#]+)["#]', inside):
            assert (tmp_path / "cards" / target).is_file(), f"{name}: {target}"
    functions = (tmp_path / "reference" / "python.html").read_text()
    for name in trigger.__all__:
        assert f'id="trigger.{name}"' in functions or f".{name}" in functions, name


def test_every_page_with_blocks_is_tested():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    runnable = {
        page for page in pages if any(language in ("sh", "python") for language, _ in blocks(page))
    }
    assert runnable == set(PAGES)


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), f"{path}: {target}"
        if anchor:
            assert anchor in anchors(page), f"{path}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_lines_of_markdown_have_at_most_100_columns(path):
    """Rows of tables cannot be broken."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert len(line) <= 100 or line.startswith("|"), f"{path}:{number}"


def test_the_architecture_has_every_room_in_its_place():
    """The table of rooms and the contract that `make lint` checks, from top to bottom."""
    page = (DOCS / "architecture.md").read_text()
    table = page[page.index("| room | contents |") :].split("\n\n")[0].splitlines()[2:]
    told = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (rooms["layers"] for rooms in contracts if rooms["name"] == "Rooms")
    checked = [room for layer in layers for room in re.findall(r"\w+", layer)]
    assert [room for rooms in told for room in rooms] == [
        room for room in checked if room != "__main__"
    ]


def test_the_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    version = citation["version"]
    assert f"\nThis will be {version}, " in changelog or f"\n## [{version}]" in changelog
    assert citation["license"] == "Apache-2.0"


def test_issue_forms_are_complete():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    names = [form.stem for form in forms if form.stem != "config"]
    assert names == ["bug_report", "feature_request", "network_refused"]
    for name in names:
        form = yaml.safe_load((forms[0].parent / f"{name}.yml").read_text())
        assert {"name", "description", "body"} <= set(form), name
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        identities = [field["id"] for field in fields]
        assert len(set(identities)) == len(identities), name
        assert all(field["attributes"]["label"] for field in fields), name
    bug = (forms[0].parent / "bug_report.yml").read_text()
    assert "`trigger doctor`" in bug and "manifest.json" in bug
