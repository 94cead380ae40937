"""BYTES: every object's key, and putting, getting and presigning objects in S3."""
