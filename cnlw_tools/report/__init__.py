"""What runs came to. `write.py` brings it together; `statistics.py` and `ground_truth.py` need nothing that draws."""
