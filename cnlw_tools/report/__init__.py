"""What runs came to. `write.py` brings it together; `spread.py` and `truth.py` need nothing that draws."""
