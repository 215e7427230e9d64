"""The toy world of the demo: drawn scenes with known objects, and the small CLIP that is trained on them.

This package may import `clip` and `paths`. Only `data.demo` opens its scenes as a data set.
"""
