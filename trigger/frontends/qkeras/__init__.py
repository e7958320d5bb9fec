"""Keras 3 and qkeras-v3 networks. Needs the extra [qkeras]."""
