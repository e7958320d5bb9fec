"""Backends: what is generated from the fixed-point graph."""
