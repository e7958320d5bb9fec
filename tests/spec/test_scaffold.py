"""``trigger new``: nothing of another trigger's file names leads out of the new folder."""

import re
from pathlib import Path

import pytest
from conftest import write_small_trigger

from trigger.errors import TriggerError
from trigger.spec.spec import load
from trigger.spec.zoo import create


def edited(folder, *changes):
    path = write_small_trigger(folder) / "trigger.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return folder


def test_files_outside_go_into_the_folder(tmp_path):
    like = edited(
        tmp_path / "like",
        ('name = "small"', 'name="small"  # spaced otherwise'),
        ('files = ["events.csv"]', 'files = ["sub/../../events.csv", "inner/more.csv"]'),
        ('function = "network"', f'function = "network"\nfile = "{tmp_path}/elsewhere.py"'),
    )
    (like / "events.csv").rename(tmp_path / "events.csv")
    (like / "model.py").rename(tmp_path / "elsewhere.py")
    (like / "sub").mkdir()
    (like / "inner").mkdir()
    (like / "inner" / "more.csv").write_text("a,b,c,kind\n")
    create(tmp_path / "new" / "mine", str(like))
    spec = load(tmp_path / "new" / "mine" / "trigger.toml")
    assert (spec.name, spec.data.files, spec.model.file) == (
        "mine",
        ["events.csv", "inner/more.csv"],
        "elsewhere.py",
    )
    here = tmp_path / "new" / "mine"
    assert sorted(str(p.relative_to(here)) for p in here.rglob("*") if p.is_file()) == [
        "README.md",
        "elsewhere.py",
        "events.csv",
        "inner/more.csv",
        "trigger.toml",
    ]


@pytest.mark.parametrize("outside", [False, True])
def test_the_modules_that_the_network_imports(tmp_path, outside):
    """Packages with all their modules, and what they import in turn."""
    like = edited(tmp_path / "like")
    home = tmp_path / "shared" if outside else like
    home.mkdir(exist_ok=True)
    model = like / "model.py"
    text = f"import helper_of_mine\nfrom layers_of_mine import inner\n{model.read_text()}"
    model.unlink()
    (home / "model.py").write_text(text)
    (home / "helper_of_mine.py").write_text("from deeper_of_mine import BITS\n")
    (home / "deeper_of_mine.py").write_text("BITS = 4\n")
    (home / "unrelated.py").write_text("")
    (home / "layers_of_mine").mkdir()
    (home / "layers_of_mine" / "__init__.py").write_text("")
    (home / "layers_of_mine" / "inner.py").write_text("")
    if outside:
        edited_text = (like / "trigger.toml").read_text()
        changed = edited_text.replace(
            'function = "network"', 'function = "network"\nfile = "../shared/model.py"'
        )
        assert changed != edited_text
        (like / "trigger.toml").write_text(changed)
    create(tmp_path / "mine", str(like))
    here = tmp_path / "mine"
    assert sorted(str(p.relative_to(here)) for p in here.rglob("*.py")) == [
        "deeper_of_mine.py",
        "helper_of_mine.py",
        "layers_of_mine/__init__.py",
        "layers_of_mine/inner.py",
        "model.py",
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            '["events.csv", "../events.csv"]',
            "{like}: two files would be 'events.csv' in {new}; rename one",
        ),
        ('["gone.csv"]', "{like}/gone.csv: no such file"),
    ],
)
def test_files_that_cannot_be_copied(tmp_path, files, message):
    like = edited(tmp_path / "like", ('["events.csv"]', files))
    (tmp_path / "events.csv").write_text("")
    with pytest.raises(TriggerError) as error:
        create(tmp_path / "mine", str(like))
    assert str(error.value) == message.format(like=like, new=tmp_path / "mine")
    assert not Path(tmp_path / "mine").exists()


def test_a_trained_network_is_copied(tmp_path):
    like = edited(
        tmp_path / "like",
        ('function = "network"', 'network = "trained.keras"'),
        ("[training]\nepochs = 6\nbatch_size = 64\nlearning_rate = 0.02\n", ""),
        ("[pruning]\nsparsity = 0.5\nend_epoch = 3\n", ""),
    )
    (like / "trained.keras").write_bytes(b"x")
    create(tmp_path / "mine", str(like))
    assert (tmp_path / "mine" / "trained.keras").read_bytes() == b"x"


def test_what_is_written_cites_no_page_that_is_not_there(tmp_path):
    """The documentation is not in the package: what README.md names is in the folder."""
    like = write_small_trigger(tmp_path / "like")
    create(tmp_path / "mine", str(like))
    readme = (tmp_path / "mine" / "README.md").read_text()
    named = set(re.findall(r"[\w/-]+\.(?:toml|py|md)\b", readme))
    assert named == {"trigger.toml", "model.py"}
    assert "](" not in readme and "docs" not in readme
