"""The API: what a user writes, which layer of it wins, and the schema that the apiserver checks it by.

Nothing else defines a field, and nothing here does I/O.
"""
