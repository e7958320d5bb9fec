"""Training: the user's network, its fit, pruning, and its float baseline."""
