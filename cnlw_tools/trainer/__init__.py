"""Trains on what `cnlw build` wrote."""
