"""HDF5 and ROOT files that lead elsewhere, and what in them is no column."""

import h5py
import numpy as np
import pytest
import uproot
from event_files import write

from trigger.errors import TriggerError
from trigger.events.readers import read


def test_a_branch_in_another_root_file(tmp_path, monkeypatch):
    path = write(tmp_path, "root")
    original = uproot.model.Model.member

    def member(self, name, *arguments, **options):
        return "/etc/passwd" if name == "fFileName" else original(self, name, *arguments, **options)

    monkeypatch.setattr(uproot.model.Model, "member", member)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == (
        f"{path}: column 'a' keeps its values in another file; write them into this one"
    )


def external_storage(file, private):
    layout = [(str(private).encode(), 0, private.stat().st_size)]
    file.create_dataset("a", (private.stat().st_size,), "u1", external=layout)


def external_link(file, private):
    file["a"] = h5py.ExternalLink(str(private.with_suffix(".h5")), "/secret")


def external_group(file, private):
    file["group"] = h5py.ExternalLink(str(private.with_suffix(".h5")), "/")
    file["a"] = h5py.SoftLink("/group/secret")


def virtual(file, private):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(private.with_suffix(".h5")), "secret", (3,))
    file.create_virtual_dataset("a", layout)


def virtual_of_the_same_file(file, private):
    file["b"] = np.zeros(3)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(".", "b", (3,))
    file.create_virtual_dataset("a", layout)


def plugin(file, private):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((3,))
    properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (0,))
    space = h5py.h5s.create_simple((3,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_DOUBLE, space, properties)


def bomb(file, private):
    file.create_dataset("a", (1 << 40,), "f8", chunks=(1 << 20,), compression="gzip")


@pytest.fixture
def private(tmp_path):
    """A text file and an HDF5 file that no other file may lead to."""
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["secret"] = np.arange(3.0)
    path = tmp_path / "private.txt"
    path.write_text("top secret")
    return path


OUTSIDE = [
    (
        external_storage,
        "the dataset 'a' keeps its values in another file; write them into this one",
    ),
    (external_link, "the link 'a' points outside the file; copy its target into the file"),
    (external_group, "the link 'group' points outside the file; copy its target into the file"),
    (
        virtual,
        "the dataset 'a' is virtual, with values stored elsewhere; write them into this file",
    ),
    (
        virtual_of_the_same_file,
        "the dataset 'a' is virtual, with values stored elsewhere; write them into this file",
    ),
    (plugin, "the dataset 'a' needs the filter plugin 32001; compress it with gzip"),
    (bomb, "the dataset 'a' declares 8,796,093,022,208 bytes and holds 0"),
]


@pytest.mark.parametrize(
    ("make", "message"), OUTSIDE, ids=lambda value: getattr(value, "__name__", "")
)
def test_nothing_of_an_hdf5_file_is_elsewhere(tmp_path, private, make, message):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        make(file, private)
    with pytest.raises(TriggerError) as error:
        read(path, None)
    assert str(error.value) == f"{path}: {message}"


def test_nested_groups_and_links_inside_an_hdf5_file(tmp_path, private):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["deep/er/a"] = np.arange(3.0)
        file["deep/er/b"] = h5py.SoftLink("/deep/er/a")
        file["deep/er/loop"] = file["deep"]
        file["empty"] = h5py.Empty("f8")
    columns = read(path, ["a", "b"], "deep/er")
    np.testing.assert_array_equal(columns["a"], columns["b"])
    with h5py.File(path, "a") as file:
        file["deep/er/c"] = h5py.ExternalLink("private.h5", "/secret")
    with pytest.raises(TriggerError) as error:
        read(path, ["a"], "deep/er")
    assert str(error.value) == (
        f"{path}: the link 'deep/er/c' points outside the file; copy its target into the file"
    )


def test_references_are_no_text(tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        file["b"] = np.arange(3.0)
        file["a"] = np.array([file["b"].ref] * 3, dtype=h5py.ref_dtype)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == (
        f"{path}: column 'a' is ragged or nested; one number or text a row is needed"
    )


@pytest.mark.parametrize("name", ["events.npz", "events.h5"])
def test_a_single_value_is_no_column(tmp_path, name):
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, a=np.float64(1), b=np.ones(3))
    else:
        with h5py.File(path, "w") as file:
            file["a"], file["b"] = 1.0, np.ones(3)
    with pytest.raises(TriggerError) as error:
        read(path, ["a", "b"])
    assert str(error.value) == (
        f"{path}: column 'a' is a single value; one number or text a row is needed"
    )
