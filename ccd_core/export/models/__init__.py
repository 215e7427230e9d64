"""Formats that take the classifier away: ONNX, `torch.export`, a folder for the Hugging Face hub.

`export.formats` loads each by its name when it is asked for.
"""
