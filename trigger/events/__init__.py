"""Where events come from: files, splits, the jets generator."""
