"""Statistics: pure functions of records. No files, no torch, no wording."""
