"""Evaluation: sampling a checkpoint, measuring its answers, human labels, comparison, reports and lists of runs."""
