"""Pages of docs/ that are made from models, chart, settings and locked versions. None of them is edited by hand."""
