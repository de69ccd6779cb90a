"""What runs came to. `write.py` brings it together; `statistics.py` and `detection.py` need nothing that draws."""
