"""Value of prices and orders of products with stock."""
