"""The experiments of the source documents, one file for each, and what runs, judges and shows them."""
