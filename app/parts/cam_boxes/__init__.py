"""Parts of the page CAM boxes."""
