"""The demo's world: drawn scenes and the small CLIP that is trained on them."""
