"""One file a kind of data set: a function that returns a `Dataset`. Beside them, what several kinds share."""
