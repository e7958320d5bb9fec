"""The payload of a board: link words in, decisions out."""
