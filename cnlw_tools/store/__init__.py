"""Images from the web, and a ledger with the outcome of every URL; no module uses the network."""
