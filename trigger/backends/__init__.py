"""What is emitted from the fixed-point graph."""
