"""The paper: bias, labels, views, losses and the classifier. Arrays and tensors in, arrays and tensors out; nothing here knows a run's folder."""
