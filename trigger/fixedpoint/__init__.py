"""The fixed-point graph: types, nodes, evaluation, ranges and the JSON form. Imports NumPy and nothing of ours."""
