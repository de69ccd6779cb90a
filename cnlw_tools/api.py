"""The public API: what the commands do, callable from Python. `import cnlw_tools as cnlw` offers all of it."""
