"""From a plan to files: segments that configs share, shards, and the folder that `datasets` loads."""
