"""The command line: cut pictures into tiles and merge what is said of them, without a server.

`slice` writes a folder of tiles (`folder`) with a label of each, `merge` reads it. Files in, files
out: the decoder, the kinds and the formats are those of the server; nothing here knows a database.
"""
