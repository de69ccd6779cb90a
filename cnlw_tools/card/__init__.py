"""The card of a build (README.md): its metadata, its text and its pictures."""
