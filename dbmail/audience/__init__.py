"""Who gets a broadcast: stored queries, send-to functions, audiences that a person puts together."""
