"""DNS as far as mail needs it. Nothing here imports Django."""
