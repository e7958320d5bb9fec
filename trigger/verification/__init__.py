"""Test vectors, comparison to the bit, witnesses."""
