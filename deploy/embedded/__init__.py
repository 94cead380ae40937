"""PostgreSQL, Valkey and S3 from Python packages, and the app on top of them, in one folder.

Nothing is installed and nothing outlives the process that started it: see `process`.
"""
