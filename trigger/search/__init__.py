"""Search: trials of a trigger.toml with other values, to optimise metric, LUT and latency."""
