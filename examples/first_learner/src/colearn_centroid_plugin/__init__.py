"""A nearest-centroid classifier that learns by counting."""
