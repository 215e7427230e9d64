"""Functions from data to a plotly figure."""
