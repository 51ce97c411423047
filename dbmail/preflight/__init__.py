"""What a person should know before a broadcast goes out: pure checks, and one look over the audience."""
