"""The plots of the pages, by subject: self-contained SVG, with the numbers that they show."""
