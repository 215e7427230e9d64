"""The method of the paper: bias, labels, views, losses and the classifier (Sec. 3).

Its functions take arrays and tensors and return arrays and tensors. They know no run and open no file.
This package may import `data.types`, `clip`, `config`, `weights` and `errors`.
"""
