"""The payload of a board: link words to decisions."""
