"""From a plan to files: shared segments, shards, and the folder that `datasets` loads."""
