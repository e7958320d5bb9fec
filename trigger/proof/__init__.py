"""Proof that RTL equals the graph for every possible input.

Graph and netlist become ``forms``: sums of functions of the same few variables, in one normal form.
Two values with the same form are equal for every input.
"""
