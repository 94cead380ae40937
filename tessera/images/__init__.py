"""Pictures: what may come in, how it is cut into tiles, and where on the image a tile lies."""
