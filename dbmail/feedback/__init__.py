"""What became of mail after it left: reports by mail, and providers' webhooks."""
