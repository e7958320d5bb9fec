"""hls4ml projects: the graph as a project, its csim, and foreign projects."""
