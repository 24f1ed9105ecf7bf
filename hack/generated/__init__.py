"""Files that are committed and that nobody writes by hand."""
