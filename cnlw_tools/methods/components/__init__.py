"""Mathematics that several methods share. None of these modules is a method."""
