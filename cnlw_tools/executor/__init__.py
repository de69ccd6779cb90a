"""Where work that grows with images runs: processes of this machine, and signals that stop them."""
