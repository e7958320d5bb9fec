"""Event files in spans, which are worked on apart, recorded, and put together in order."""
