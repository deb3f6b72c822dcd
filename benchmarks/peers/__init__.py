"""Scripts without toytip, with the same accepted rows, features and training."""
