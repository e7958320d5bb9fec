"""A build of another version of this program is named as such, where it lacks a result."""

import json

import pytest
from trigger_command import trigger_here


@pytest.mark.parametrize(
    ("file", "key", "command"),
    [
        ("graph/summary.json", "outputs", "show"),
        ("events/summary.json", "events", "report"),
        ("verification/results.json", "comparisons", "show"),
    ],
)
def test_what_it_lacks_is_named(small_build, file, key, command):
    _, root = small_build
    path = root / file
    kept = {name: value for name, value in json.loads(path.read_text()).items() if name != key}
    path.write_text(json.dumps(kept))
    (root / "manifest.json").write_text(_sealed_again(root))
    result = trigger_here(command, root)
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {path}: lacks {key!r}; another version of this program made this build: run "
        f"`trigger build` again\n",
    )


def _sealed_again(root):
    from trigger.workflow.build import open_build
    from trigger.workflow.prove import sealed

    return sealed(open_build(root))
