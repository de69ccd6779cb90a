"""Reports of runs: tables, figures and a page. `write.py` puts everything together."""
