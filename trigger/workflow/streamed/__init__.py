"""The implementations of a build, compared with Keras on event files of any size."""
