"""The physics performance of a network."""
