"""Make the tables of a dataset from a user's image folders, votes, image stores and donors."""
