"""One plain function a command, usable from a notebook: no Typer, no printing."""
