"""The same three events in a file of each format."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

COLUMNS = {
    "a": np.array([0.5, -1.25, 3.0]),
    "b": np.array([1, 2, 3]),
    "kind": np.array(["s", "b", "s"]),
}


def write(folder, fmt, columns=COLUMNS):
    path = folder / f"events.{fmt}"
    match fmt:
        case "parquet":
            pq.write_table(pa.table(columns), path)
        case "h5":
            with h5py.File(path, "w") as file:
                for name, values in columns.items():
                    file[name] = values.astype("S") if values.dtype.kind == "U" else values
        case "table.h5":
            with h5py.File(path, "w") as file:
                kinds = [
                    (n, v.astype("S").dtype if v.dtype.kind == "U" else v.dtype)
                    for n, v in columns.items()
                ]
                file["events"] = np.array(list(zip(*columns.values(), strict=True)), dtype=kinds)
        case "npz":
            np.savez(path, **columns)
        case "csv":
            rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
            path.write_text("\n".join([",".join(columns), *rows]) + "\n")
        case "root":
            with uproot.recreate(path) as file:
                file.mktree(
                    "events",
                    {"a": "float64", "b": "int64", "kind": "string"}
                    if "kind" in columns
                    else {"a": "float64"},
                )
                file["events"].extend(
                    {k: v.tolist() if v.dtype.kind == "U" else v for k, v in columns.items()}
                )
    return path
