"""What runs: passes, the loop, tasks; and what a monitor asks."""
