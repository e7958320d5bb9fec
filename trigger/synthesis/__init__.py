"""Synthesis: cost and clock of the firmware by open and vendor tools, each figure with its
origin.
"""
