"""What devices measure: typed tables of each product, written by columns, read by property."""
