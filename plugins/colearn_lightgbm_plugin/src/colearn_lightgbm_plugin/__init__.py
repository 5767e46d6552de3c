"""LightGBM learners for colearn."""
