"""Small pieces that every other part may use."""
