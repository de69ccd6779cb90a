"""From what a user has to the tables of a dataset: image folders, votes, stores, donors."""
