"""The rules that label an answer, one module per family with its known errors, and the measures made from the labels.

Not here: rates, intervals and tests over many answers (`stats`).
"""
