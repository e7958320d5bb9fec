"""The fixed-point graph: a layer-level program in integers, and the heart of the compiler.

``build.Builder`` makes graphs; ``serialize.from_json`` reads and checks them; ``evaluate`` runs
them.
"""

from dataclasses import dataclass

from trigger.fixedpoint.ops import Input, Operation


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of evaluation: the first is the only ``Input``, the last is the output.

    ``notes`` state the decisions of the frontend that the user should know.
    """

    nodes: tuple[Operation, ...]
    notes: tuple[str, ...] = ()

    @property
    def input(self) -> Input:
        node = self.nodes[0]
        assert isinstance(node, Input)
        return node

    @property
    def output(self) -> Operation:
        return self.nodes[-1]

    def __getitem__(self, name: str) -> Operation:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def __repr__(self) -> str:
        return (
            f"Graph({len(self.nodes)} nodes, {len(self.input.types)} inputs, "
            f"{len(self.output.types)} outputs)"
        )
