"""The four tables of a dataset, and what people said of its images."""
