"""What the network is worth in physics."""
