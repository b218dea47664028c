"""What the leader of a team tells the other processes to do next.

Not here: how orders travel (`engine.team`), how they are obeyed (`following`).
"""

START = "begin"
"""Open the run and load the start model: folder of the run, number of threads."""
SAMPLE_BASELINE = "others"
"""Sample a share of the reference's own answers."""
BUILD_TRAINER = "prepare"
"""Build the trainer."""
EVALUATE = "answer"
"""Answer a share of an evaluation: the step, and the ids of its prompts."""
LOAD_CHECKPOINT = "load"
"""Go back to a checkpoint: its folder."""
TRAIN = "train"
"""Run the loop in step with the leader; after each update more orders follow, up to GO_ON."""
CONTINUE = "go on"
"""The next update begins: true, or false if the training ends here."""
STOP = "end"
"""Nothing more will come."""
