"""The published numbers and conditions; tables, claims, comparison and the page made from them."""
