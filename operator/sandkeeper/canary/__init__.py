"""The canary's own process: tries to get out of where it runs, and tells what it reached. Standard library only."""
