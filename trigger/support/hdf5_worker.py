"""Reads an HDF5 file completely, in a separate process, and reports references to other files.

The arguments are the path and the largest number of values that may be read.
"""

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

import h5py

# Filters of HDF5 itself, and LZF from h5py. Others are loaded as plugins.
_FILTERS = {h5py.h5z.FILTER_LZF, *range(1, 7)}
# Deflate expands one byte to at most 1032.
_RATIO = 1100
_SMALL = 1 << 28
MARK = "problem: "


def outside(name: str, item: h5py.Dataset) -> str | None:
    """Why the values of a dataset are not stored in this file; None if they are."""
    properties = item.id.get_create_plist()
    if properties.get_external_count():
        return f"the dataset {name!r} keeps its values in another file; write them into this one"
    if item.is_virtual:
        return (
            f"the dataset {name!r} is virtual, with values stored elsewhere; write them "
            f"into this file"
        )
    for number in range(properties.get_nfilters()):
        code, _, _, title = properties.get_filter(number)
        if code not in _FILTERS:
            title = title.decode(errors="replace") or code
            return f"the dataset {name!r} needs the filter plugin {title!r}; compress it with gzip"
    return None


def excess(datasets: Mapping[str, h5py.Dataset], most: float) -> str | None:
    """Why the datasets are too large to be read; None if they are not."""
    values = sum(item.size for item in datasets.values())
    if values > most:
        return f"its datasets declare {values:,} values; at most {most:,.0f} can be read"
    for name, item in datasets.items():
        stored = item.id.get_storage_size()
        if item.nbytes > max(_SMALL, _RATIO * stored):
            return f"the dataset {name!r} declares {item.nbytes:,} bytes and holds {stored:,}"
    return None


def problem(file: h5py.File, most: float) -> str | None:
    """The first reference to another file, or the reason why this file is too large."""
    waiting: list[tuple[str, Any]] = [("", file)]
    seen = set()
    datasets = {}
    while waiting:
        prefix, group = waiting.pop()
        for name in group:
            path = f"{prefix}{name}"
            link_type = group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
            if link_type == h5py.h5l.TYPE_SOFT:
                continue  # a hard link within this file
            if link_type != h5py.h5l.TYPE_HARD:
                return f"the link {path!r} points outside the file; copy its target into the file"
            item = group[name]
            if isinstance(item, h5py.Dataset):
                if fault := outside(path, item):
                    return fault
                if item.shape is not None:  # as of a dataset without any value
                    datasets[path] = item
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group) and address not in seen:
                seen.add(address)
                waiting.append((f"{path}/", item))
    return excess(datasets, most)


def read(_name: str, item: Any) -> None:
    """Whatever h5py itself refuses, the reader reports."""
    with contextlib.suppress(Exception):
        dict(item.attrs)
    with contextlib.suppress(Exception):
        item[()] if isinstance(item, h5py.Dataset) else None


def main() -> None:
    with contextlib.suppress(OSError), h5py.File(sys.argv[1], "r") as file:
        try:
            fault = problem(file, float(sys.argv[2]))
        except Exception:  # h5py raises many types for damaged files
            fault = "damaged: some of its groups or datasets cannot be listed"
        if fault:
            print(f"{MARK}{fault}")
            return
        read("/", file)
        file.visititems(read)


if __name__ == "__main__":
    main()
