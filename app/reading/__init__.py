"""What pages read, cached by file and time of change."""
