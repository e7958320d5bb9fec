"""Search: trials of one trigger.toml with other values, towards the best metric, the fewest LUT and the least latency."""
