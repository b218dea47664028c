"""What the leader of a team tells the other processes to do next.

Not here: how orders travel (`engine.team`), how they are obeyed (`following`).
"""

BEGIN = "begin"
"""Open the run and load the start model: folder of the run, number of threads."""
OTHERS = "others"
"""Sample a share of the reference's own answers."""
PREPARE = "prepare"
"""Build the trainer."""
ANSWER = "answer"
"""Answer a share of an evaluation: the step, and the ids of its prompts."""
LOAD = "load"
"""Go back to a checkpoint: its folder."""
TRAIN = "train"
"""Run the loop in step with the leader; after each update more orders follow, up to GO_ON."""
GO_ON = "go on"
"""The next update begins: true, or false if the training ends here."""
END = "end"
"""Nothing more will come."""
