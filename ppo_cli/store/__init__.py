"""The run folder: its layout, safe writing, reading, and where a run came from."""
