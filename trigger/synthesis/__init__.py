"""Synthesis: what the firmware costs and how fast it is, by open tools and by vendors', each figure with its origin."""
