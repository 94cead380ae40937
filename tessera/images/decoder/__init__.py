"""What runs in the decoder process and nowhere else: `tessera.images.sandbox` starts it.

Nothing here is imported by the API or by a worker, and nothing here imports a database driver:
a decoder that is made to misbehave finds no connection and no credentials in its process.
"""
