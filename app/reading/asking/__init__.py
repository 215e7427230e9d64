"""What pages ask of a classifier or of CLIP: processes of their own answer, so that no page loads torch."""
