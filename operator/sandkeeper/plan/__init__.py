"""Pure decisions: from what was observed to what should be written. No I/O and no clock; time is an argument."""
