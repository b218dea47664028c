"""The CUDA check: one command, below 9 minutes on one H100, a JSON line per stage.

Not here: comparing training loops on one machine in detail (`benchmarks/bench.py`).
"""
