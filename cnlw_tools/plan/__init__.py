"""From a dataset and a recipe to a plan: which image the learner gets for each slot, and under which label."""
