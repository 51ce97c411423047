"""What scripts/benchmark runs: the same work by dbmail, by its peers, and by a bare loop, in one go."""
