"""What to build (a recipe) and how to train (a preset): TOML files, read strictly."""
