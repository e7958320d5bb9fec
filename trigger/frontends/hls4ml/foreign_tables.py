"""The tables of a project's activations, computed by the project's own C++.

Their values depend on the release of hls4ml and on the C++ library, so they are not computed again.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.frontends.hls4ml.foreign_csim import CONVERSIONS, LINK, ForeignProject
from trigger.support.csim_process import call


class Table(NamedTuple):
    """``nnet::init_FUNCTION_table`` of ``size`` entries, for the struct called ``config``."""

    function: str
    config: str
    size: int


def computed(project: ForeignProject, wanted: Sequence[Table]) -> dict[Table, np.ndarray]:
    """The values of each table as real numbers.

    Raises CsimFailed if g++ refuses the project, for example because it has no such table.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = project.compiled(_source(project, wanted), Path(folder))
        total = sum(table.size for table in wanted)
        (every,) = call(library, "trigger_tables", np.zeros((1, 1)), total, project.name)
    ends = np.cumsum([table.size for table in wanted])
    return dict(zip(wanted, np.split(every, ends[:-1]), strict=True))


def _source(project: ForeignProject, wanted: Sequence[Table]) -> str:
    # The order of the top function's file: a name in a header may depend on those before it.
    headers = [project.sources / name for name in (f"{project.name}.h", "parameters.h")]
    return "\n".join(
        [
            "#include <iostream>",
            *(f'#include "{LINK}/{path.relative_to(project.directory)}"' for path in headers),
            CONVERSIONS,
            'extern "C" void trigger_tables(const double *, double *y, size_t, size_t) {',
            *(_filled(table) for table in wanted),
            "}",
            "",
        ]
    )


def _filled(table: Table) -> str:
    config, size = table.config, table.size
    return (
        f'    {{ static_assert({config}::table_size == {size}, "table_size");\n'
        f"    static {config}::table_t table[{size}];\n"
        f"    nnet::init_{table.function}_table<{config}, {size}>(table);\n"
        f"    for (const auto &value : table) *y++ = trigger_real(value); }}"
    )
