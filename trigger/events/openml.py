"""The published LHC jet data set (OpenML hls4ml_lhc_jets_hlf); needs a network connection."""

from pathlib import Path

import numpy as np

from trigger.errors import TriggerError

DATA_SET = "hls4ml_lhc_jets_hlf"


def fetch(path: Path) -> int:
    """Download the data set into a Parquet file and return the number of jets.

    Raises TriggerError at once if OpenML cannot be reached.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn.datasets import fetch_openml

    if path.suffix != ".parquet":
        raise TriggerError(f"{path}: the name of the output file must end in .parquet")
    try:
        bunch = fetch_openml(
            DATA_SET, version=1, as_frame=False, parser="liac-arff", n_retries=1, delay=0.1
        )
    except OSError as error:
        raise TriggerError(
            f"OpenML cannot be reached ({error}); the data set {DATA_SET} needs a "
            f"network connection"
        ) from error
    except ValueError as error:  # refused by OpenML itself
        raise TriggerError(f"OpenML refuses the data set {DATA_SET}: {error}") from error
    columns = {
        name: np.asarray(bunch.data[:, i], dtype=np.float32)
        for i, name in enumerate(bunch.feature_names)
    }
    table = pa.table(
        {**columns, "jet": pa.array(np.asarray(bunch.target).astype(str)).dictionary_encode()}
    )
    pq.write_table(table, path, compression="zstd")
    return int(table.num_rows)
