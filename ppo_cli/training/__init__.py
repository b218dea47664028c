"""Training: one run, a sweep of runs, or the plan of either, in one process or in several."""
