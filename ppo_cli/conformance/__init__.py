"""Conformance of a PPO trainer for language models: what `ppo verify-engine` checks, on any trainer behind an adapter.

    adapter        what a trainer has to be able to do, as a protocol
    tiny_models    the model folders that are trained
    trainings      runs trainings, keeps them, and recomputes log-probabilities by itself
    *_checks       one function per check
    verify         all checks, in order, to a certificate
    own_engine     the adapter of this project's trainer

Not here: the trainer itself (`engine`), the certificate's data classes (`records.conformance`).
"""
