"""Scores of samples: image scores in the features of a fixed network, and distances for arrays and points."""
