"""What the page Compare reads: tables and sweeps, one image under every method, and the runs that lack."""
