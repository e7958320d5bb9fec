"""What a user has at a place that a command is to write to is never lost; an earlier export is replaced whole."""

import json
import os
import shutil

import onnx
import pytest
from onnx import TensorProto, helper
from trigger_command import invoke, refused

from trigger import TriggerError
from trigger.support import destinations
from trigger.support.destinations import check_sample, replace_folder
from trigger.support.digest import file_digest


def content(folder):
    """Every file below a folder, by its path in there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def make(folder, **texts):
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


# --- folders --------------------------------------------------------------------------------------


def test_the_folder_of_a_user_is_left_alone(small_build, tmp_path):
    mine = make(tmp_path / "mine", Makefile="all:", notes="mine")
    assert refused("export", "emulator", small_build[1], mine) == (
        f"{mine}: is not empty and holds no earlier export; name a new or empty folder"
    )
    assert content(mine) == {"Makefile": b"all:", "notes": b"mine"}


def test_an_export_is_replaced_by_the_next(small_build, tmp_path):
    target = tmp_path / "out"
    assert invoke("export", "emulator", small_build[1], target, "--version", "a").exit_code == 0
    first = content(target)
    # What its own Makefile and its Python binding leave.
    (target / "libsmall.so").write_text("")
    (target / "__pycache__").mkdir()
    (target / "__pycache__" / "small_emulator.cpython-312.pyc").write_text("")
    assert invoke("export", "emulator", small_build[1], target, "--version", "b").exit_code == 0
    second = content(target)
    assert second.keys() == first.keys()
    assert second["small.h"] != first["small.h"]
    assert not (target / "__pycache__").exists()
    recorded = json.loads(second["export.json"])
    digests = {name: file_digest(target / name) for name in second if name != "export.json"}
    assert recorded == {"export": "emulator", "files": digests}


def test_an_export_into_an_empty_folder(small_build, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert invoke("export", "emulator", small_build[1], ".").exit_code == 0
    assert (tmp_path / "empty" / "small.h").is_file()


def test_files_of_ones_own_in_an_export(small_build, tmp_path):
    target = tmp_path / "out"
    invoke("export", "emulator", small_build[1], target)
    (target / "notes.txt").write_text("mine")
    assert refused("export", "emulator", small_build[1], target) == (
        f"{target / 'notes.txt'}: does not belong to the export in this "
        "folder; move it away, or name another folder"
    )
    (target / "notes.txt").unlink()
    (target / "Makefile").write_text("all:")
    assert refused("export", "emulator", small_build[1], target) == (
        f"{target / 'Makefile'}: was edited since it was exported; "
        "move it away, or name another folder"
    )
    assert (target / "Makefile").read_text() == "all:"


def test_an_export_of_another_kind(tmp_path):
    target = tmp_path / "out"
    replace_folder(make(tmp_path / "made", a="1"), target, "payload")
    with pytest.raises(TriggerError) as error:
        replace_folder(tmp_path / "made", target, "emulator")
    assert str(error.value) == (
        f"{target}: holds an export of the kind payload; name a new or an empty folder"
    )


def test_an_interrupted_replacement_can_be_repeated(tmp_path, monkeypatch):
    target = tmp_path / "out"
    replace_folder(make(tmp_path / "one", a="1", b="1", old="1"), target, "payload")
    new = make(tmp_path / "two", a="2", b="2", new="2")
    put = destinations.files.put
    steps = iter(range(100))

    def interrupted(source, place):
        if source.is_file() and next(steps) == 1:
            raise KeyboardInterrupt
        put(source, place) if source.is_file() else [
            interrupted(path, place / path.name) for path in sorted(source.iterdir())
        ]

    with monkeypatch.context() as patch:
        patch.setattr(destinations.files, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            replace_folder(new, target, "payload")
    found = content(target)
    assert (found["a"], found["b"]) == (b"2", b"1")
    replace_folder(new, target, "payload")
    found = content(target)
    del found["export.json"]
    assert found == {"a": b"2", "b": b"2", "new": b"2"}


@pytest.mark.parametrize(
    "record", ["", "[]", '{"export": 3}', '{"export": "payload", "files": []}', "[" * 100_000]
)
def test_a_record_that_no_export_wrote(tmp_path, record):
    target = make(tmp_path / "out", **{"export.json": record})
    with pytest.raises(TriggerError) as error:
        replace_folder(make(tmp_path / "made", a="1"), target, "payload")
    assert str(error.value) == (
        f"{target}: is not empty and holds no earlier export; name a new or empty folder"
    )


def test_links_in_an_export_are_not_followed(tmp_path):
    target, mine = tmp_path / "out", make(tmp_path / "mine", a="1")
    made = make(tmp_path / "made", a="1")
    replace_folder(made, target, "payload")
    (target / "a").unlink()
    (target / "a").symlink_to(mine / "a")
    with pytest.raises(TriggerError) as error:
        replace_folder(made, target, "payload")
    assert str(error.value) == (
        f"{target / 'a'}: was edited since it was exported; move it away, or name another folder"
    )
    shutil.rmtree(target)
    target.symlink_to(mine)
    with pytest.raises(TriggerError) as error:
        replace_folder(made, target, "payload")
    assert str(error.value) == (
        f"{target}: is a link, which this program does not write through; remove it"
    )
    assert content(mine) == {"a": b"1"}


def test_a_file_where_a_folder_is_named(small_build, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert refused("export", "emulator", small_build[1], tmp_path / "out") == (
        f"{tmp_path / 'out'}: is a file where a folder is needed; remove it"
    )


def test_a_pipe_where_a_folder_is_named(small_build, tmp_path):
    os.mkfifo(tmp_path / "out")
    assert refused("export", "emulator", small_build[1], tmp_path / "out") == (
        f"{tmp_path / 'out'}: is a named pipe where a folder is needed; remove it"
    )


PARENTS = {
    "a file": lambda path: path.write_text("mine"),
    "a named pipe": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}
WRITERS = {
    "export emulator": "out",
    "export onnx": "out.onnx",
    "export payload": "out",
    "patterns write": "out",
    "verify": "out.xml",
    "events jets": "out.parquet",
    "events level1": "out.parquet",
    "events openml": "out.parquet",
}


@pytest.mark.parametrize("kind", PARENTS)
@pytest.mark.parametrize("command", WRITERS)
def test_a_parent_that_is_no_folder(small_build, tmp_path, monkeypatch, command, kind):
    """Found before the work: nothing is written, compiled or fetched until then."""
    (tmp_path / "here").mkdir()
    parent = tmp_path / "here" / "parent"
    PARENTS[kind](parent)
    for name in ("TemporaryDirectory", "mkdtemp"):
        monkeypatch.setattr(f"tempfile.{name}", None)
    target = parent / "deeper" / WRITERS[command]
    build = [small_build[1]] if command.split()[0] in ("export", "verify", "patterns") else []
    junit = ["--junit"] if command == "verify" else []
    assert refused(*command.split(), *build, *junit, target) == (
        f"{parent}: is {kind} where a folder is needed; remove it"
    )


def test_an_empty_folder_of_the_user_stays(tmp_path):
    target = tmp_path / "out"
    replace_folder(make(tmp_path / "made" / "deep", a="1").parent, target, "payload")
    (target / "mine" / "inner").mkdir(parents=True)
    (target / "deep" / "mine").mkdir()
    replace_folder(make(tmp_path / "next", b="2"), target, "payload")
    folders = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_dir()}
    assert folders == {"mine", "mine/inner", "deep", "deep/mine"}
    (target / "deep" / "mine").rmdir()
    replace_folder(make(tmp_path / "third", b="2"), target, "payload")
    assert content(target).keys() == {"b", "export.json"}


def test_a_build_does_not_replace_files_of_a_user(small_build, tmp_path):
    """As where a trigger is built into the folder above its own."""
    source, _ = small_build
    source = source.rename(tmp_path / "small")
    make(source / "model", weights="mine")
    before = content(source)
    for entries in ("whole", "with a manifest"):
        assert refused("build", source, "--output", tmp_path) == (
            f"{source}: is not empty and holds no build; choose another --output"
        ), entries
        (source / "manifest.json").write_text("{}")
    (source / "manifest.json").unlink()
    assert content(source) == before


def test_a_search_does_not_replace_files_of_a_user(small_build, tmp_path):
    source, _ = small_build
    with (source / "trigger.toml").open("a") as file:
        file.write('[search]\nparameters = {"training.epochs" = {choices = [6, 7]}}\n')
    mine = make(tmp_path / "small-search", report="mine")
    assert refused("search", source, "--output", tmp_path) == (
        f"{mine}: is not empty and holds no search; choose another --output"
    )
    assert content(mine) == {"report": b"mine"}


# --- files ----------------------------------------------------------------------------------------


def another_model(path):
    end = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([], "mine", [end], [end])
    onnx.save(helper.make_model(graph, producer_name="pytorch"), path)


@pytest.mark.parametrize("kind", ["onnx", "qonnx"])
@pytest.mark.parametrize("write", [another_model, lambda path: path.write_text("mine")])
def test_an_onnx_file_of_a_user_is_left_alone(small_build, tmp_path, kind, write):
    path = tmp_path / "x.onnx"
    write(path)
    before = path.read_bytes()
    assert refused("export", kind, small_build[1], path) == (
        f"{path}: already exists and is not an ONNX file of this program; remove it, or name another file"
    )
    assert path.read_bytes() == before


def test_an_onnx_file_is_replaced_by_the_next(small_build, tmp_path):
    for kind in ("onnx", "qonnx", "onnx"):
        assert invoke("export", kind, small_build[1], tmp_path / "x.onnx").exit_code == 0


@pytest.mark.parametrize("kind", ["onnx", "qonnx"])
def test_an_onnx_file_that_was_edited(small_build, tmp_path, kind):
    path = tmp_path / "x.onnx"
    assert invoke("export", kind, small_build[1], path).exit_code == 0
    model = onnx.load(path)
    model.doc_string = "mine"
    onnx.save(model, path)
    assert refused("export", kind, small_build[1], path) == (
        f"{path}: already exists and is not an ONNX file of this program; remove it, or name another file"
    )
    assert onnx.load(path).doc_string == "mine"


def test_an_onnx_file_where_a_pipe_or_a_folder_is(small_build, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("folder", "a folder"), ("pipe", "a named pipe")):
        path = tmp_path / name
        said = f"{path}: is {kind}; a regular file is needed"
        assert refused("export", "onnx", small_build[1], path) == said
        assert refused("verify", small_build[1], "--junit", path) == said


def test_a_junit_file(small_build, tmp_path):
    path = tmp_path / "out.xml"
    for _ in range(2):
        assert invoke("verify", small_build[1], "--junit", path).exit_code == 0
    for text in ("mine", '<?xml version="1.0"?><testsuite name="pytest"></testsuite>', ""):
        path.write_text(text)
        assert refused("verify", small_build[1], "--junit", path) == (
            f"{path}: already exists and is not a JUnit file of `trigger verify`; remove it, or name another file"
        )
        assert path.read_text() == text


def test_generated_events(tmp_path):
    sample, about = tmp_path / "x.parquet", tmp_path / "x.json"
    check_sample(sample)
    sample.write_text("events")
    for command in ("jets", "level1"):
        assert refused("events", command, sample) == (
            f"{sample}: already exists and was not generated by this command; "
            "remove it, or name another file"
        )
    for text in ("{}", "[]", "mine", '{"sha256": "0"}', '{"sha256": null}'):
        about.write_text(text)
        with pytest.raises(TriggerError):
            check_sample(sample)
    about.write_text(json.dumps({"sha256": file_digest(sample)}))
    check_sample(sample)
    sample.unlink()
    about.write_text("mine")
    assert refused("events", "jets", sample) == (
        f"{about}: already exists and was not generated by this command; "
        "remove it, or name another file"
    )


def test_fetched_events(tmp_path):
    (tmp_path / "x.parquet").write_text("mine")
    assert refused("events", "openml", tmp_path / "x.parquet") == (
        f"{tmp_path / 'x.parquet'}: already exists; remove it, or name another file"
    )
