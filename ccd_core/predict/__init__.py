"""The finished classifier at work: predictions, maps, overlays, and the predictor process of the app."""
