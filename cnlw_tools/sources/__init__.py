"""Where images come from. One file a source; the table is below."""
