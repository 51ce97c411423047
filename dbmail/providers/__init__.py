"""Mail providers that tell us what became of mail: one file each, from their words to `events.NewEvent`."""
