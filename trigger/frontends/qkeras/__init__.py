"""Keras 3 and qkeras-v3 networks. What is here needs the extra [qkeras]."""
