"""Images that came from the web, and a ledger of what became of every URL. No module here uses the network."""
