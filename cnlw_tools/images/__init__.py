"""Decoding, resizing and encoding images, and finding images that look alike."""
