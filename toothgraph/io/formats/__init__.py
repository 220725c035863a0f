"""One module per file format: from bytes to vertices and polygons, and back."""
