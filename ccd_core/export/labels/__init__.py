"""Formats that take the images' labels and boxes away, for other programs to train on or to correct.

`export.formats` loads each by its name when it is asked for.
"""
