"""The demo: what a user of Sandkeeper does on the first day, done on a real cluster with each step explained."""
