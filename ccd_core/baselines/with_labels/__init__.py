"""Methods that learn from labels: all of them, a part of them, or one positive an image.

One file a method, found by its name in `registry.METHODS`. Labels arrive as a `supervision.Supervision`.
"""
