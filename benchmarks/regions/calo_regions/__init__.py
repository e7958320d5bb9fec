"""Level-1 events of a calorimeter's 18 × 14 trigger regions from a small learned generator."""
