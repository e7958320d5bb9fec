"""A finished build: its folder, its results, and whether it meets its budgets."""
