"""The teacher: CLIP models of open_clip, their weights and their image towers at any input size."""
