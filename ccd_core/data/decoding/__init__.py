"""From image files of any kind to pixels."""
