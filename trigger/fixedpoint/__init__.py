"""The fixed-point graph: types, nodes, evaluation, ranges, passes and JSON. It imports only
NumPy.
"""
