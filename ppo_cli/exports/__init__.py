"""A checkpoint of a run as a folder for others: merged or the adapter alone, with a model card and a self-test."""
