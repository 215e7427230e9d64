"""Parts of the page View lab."""
