"""Pieces of pages with HTML, CSS or JavaScript of their own, a folder each.

The Python beside the other files is what pages call. Components know no page and read no run's files.
"""
