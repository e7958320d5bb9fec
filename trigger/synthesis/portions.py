"""A large core in portions of modules, each of which Yosys can map on its own.

The blocks of the layers and the kernels stay apart in synthesis, so that a portion of them gives
the same cells as the whole core.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

# The lines of a portion: a start of Yosys takes as long as mapping a few hundred.
_LINES = 2_000


class Portion(NamedTuple):
    """Modules that are mapped together, and the lines of their logic."""

    modules: tuple[str, ...]
    lines: int


def portions(core: str, sources: Iterable[Path]) -> list[Portion]:
    """The blocks and kernels of a core in portions, the largest first; none for a small core."""
    lines = _lines(core, sources)
    if sum(lines.values()) < 2 * _LINES:
        return []
    made: list[Portion] = []
    open_modules: list[str] = []
    for module in sorted(lines, key=lambda name: (-lines[name], name)):
        open_modules.append(module)
        count = sum(lines[name] for name in open_modules)
        if count >= _LINES:
            made.append(Portion(tuple(open_modules), count))
            open_modules = []
    if open_modules:
        made.append(Portion(tuple(open_modules), sum(lines[name] for name in open_modules)))
    return made


def _lines(core: str, sources: Iterable[Path]) -> Mapping[str, int]:
    """The lines of each block and kernel, those of a kernel with its own blocks."""
    module = re.compile(
        rf"^module ({re.escape(core)}_(?:([bpk]\d+)(?:z\d+)?|s\d+)_\w+) .*?^endmodule",
        re.MULTILINE | re.DOTALL,
    )
    own: dict[str, int] = {}
    kernels: dict[str, str] = {}
    inner: dict[str, int] = {}
    for source in sources:
        for match in module.finditer(source.read_text()):
            name, group = match[1], match[2] or ""
            count = match[0].count("\n")
            if group.startswith(("b", "p")):
                inner[group[1:]] = inner.get(group[1:], 0) + count
                continue
            own[name] = count
            if group:
                kernels[name] = group[1:]
    return {name: count + inner.get(kernels.get(name, ""), 0) for name, count in own.items()}
