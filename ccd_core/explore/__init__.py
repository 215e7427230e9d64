"""What the app computes over a finished run: labels under other settings, browsing, view sweeps."""
