"""Rates of a build on event files of any size, in spans that are counted apart."""
