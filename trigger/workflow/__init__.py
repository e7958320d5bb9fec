"""Workflows: build and its stages, exports, proof."""
