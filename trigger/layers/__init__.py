"""Layers that are tables, for ``model.py``; ``docs/reference/layers.md`` describes them."""

from trigger.layers.table_dense import TableDense
from trigger.layers.weightless import LookupLayer, PopCount, Thermometer

__all__ = ["LookupLayer", "PopCount", "TableDense", "Thermometer"]
