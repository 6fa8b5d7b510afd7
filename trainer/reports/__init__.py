"""Reports for people: terminal text, HTML, plots, tables of several runs."""
