"""The word for a node whose programs all run; before it a node says what it is doing."""

RUNNING = "running"
