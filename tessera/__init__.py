"""The domain of Tessera: true without HTTP, Redis or a browser."""
