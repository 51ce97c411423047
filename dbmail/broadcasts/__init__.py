"""A broadcast's life: checked, started, paused, ended; told about."""
