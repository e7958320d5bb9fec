"""Sources of events: files, their splits and shifts, and generators."""
