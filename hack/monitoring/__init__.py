"""The dashboard of the chart, generated. It asks for what operator and gateway tell of themselves."""
