"""One file a kind of data set, and what several kinds share. Each has one function that returns a `Dataset`."""
