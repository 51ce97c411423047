"""One file a check: a pure function from facts to findings."""
