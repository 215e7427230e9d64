"""Training of the classifier: epochs, checkpoints, augmentation, several devices."""
