"""The settings of a run: their sections, presets, the recipes of other methods, prompts, and older versions.

May import errors and paths only. `ccd_core/config.py` puts the sections together; everybody else uses that.
"""
