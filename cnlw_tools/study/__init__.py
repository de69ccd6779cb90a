"""Studies: which runs a TOML file asks for, and running what is missing."""
