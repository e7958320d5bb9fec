"""What a finished build holds: its folder, what was found, and whether it meets its budgets."""
