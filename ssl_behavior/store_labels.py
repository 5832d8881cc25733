"""Changes of a store's label streams without a new import: add, rename, merge, drop, and undo.

A change writes new arrays beside the old ones, and then replaces `store.json`, which names the arrays: a killed command
leaves the store as it was or as it should be. `labels/journal.json` lists the changes; `labels/old` keeps what undo
needs.
"""
