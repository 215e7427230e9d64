"""The files in a run's folder: what they must be, what tells them from others, and which may leave it.

Every reader of a run's results goes through here, so a damaged or exchanged file is one sentence.
"""
