"""hls4ml projects: the graph as one, its csim, and projects of other origin."""
