"""Mathematics that several methods share. No module in here is a method."""
