"""Trained networks, lowered to the fixed-point graph."""
