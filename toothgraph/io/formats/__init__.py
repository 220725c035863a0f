"""One module per file format, which reads vertices and polygons from a file or writes them."""
