"""Reports for people: HTML, plots, tables."""
