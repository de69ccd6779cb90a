"""From a dataset and a recipe to a plan: for each slot, the image and label for the learner."""
