"""The storms that `benchmarks/faults.py` repeats: kills, failing calls, changed files and builds."""
