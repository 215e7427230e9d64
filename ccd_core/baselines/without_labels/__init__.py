"""Methods that see no label: they learn from CLIP's outputs, or score with them and train nothing.

One file a method, found by its name in `registry.METHODS`. Nothing here may import `supervision`.
"""
