"""Pages in a browser: to vote on candidates, and to look through builds and verdicts."""
